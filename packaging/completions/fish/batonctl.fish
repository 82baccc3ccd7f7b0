# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_batonctl_global_optspecs
    string join \n bus= json h/help V/version
end

function __fish_batonctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_batonctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_batonctl_using_subcommand
    set -l cmd (__fish_batonctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c batonctl -n "__fish_batonctl_needs_command" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_needs_command" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_needs_command" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_needs_command" -s V -l version -d 'Print version'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "status" -d 'Show what batond is doing'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "services" -d 'List the services with their clients'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "clients" -d 'List who is connected, those who came first first'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "certificates" -d 'List the certificates that are in use'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "failures" -d 'Show how many TLS handshakes failed since batond started, and why, and the latest of them'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "problems" -d 'List what is wrong, the worst first'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "jobs" -d 'List the jobs that run and those that ended lately'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "reload" -d 'Read the configuration and the certificates again; exit status 78 if something is wrong, and then nothing has changed'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "upgrade" -d 'Hand over to a new process of the program on disk, with the configuration on disk; returns when that serves'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "plan" -d 'Show what a restart of a service would do, and what is in its way; exit status 75 if something is'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "restart" -d 'Restart a service: hold newcomers, tell its clients in waves, restart its unit, let everybody in again'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "drain" -d 'Send the clients of a service away and hold newcomers, until `resume`; returns when all have left'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "resume" -d 'Let newcomers of a drained service in again; does not wait for them'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "cancel" -d 'Return the service of a job to normal, from wherever the job stands'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "attach" -d 'Make `systemctl restart UNIT` a coordinated restart: enable the companion unit that drains what UNIT serves before systemd stops it'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "detach" -d 'Take that back'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "monitor" -d 'Follow what happens, until Ctrl-C'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand services" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand services" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand services" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand clients" -l limit -d 'List at most so many, up to 10000; all are counted' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand clients" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand clients" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand clients" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand certificates" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand certificates" -l forecast -d 'Show instead what will end or fail if nothing is done, and when, the soonest first'
complete -c batonctl -n "__fish_batonctl_using_subcommand certificates" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand certificates" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand failures" -l limit -d 'Show at most so many of the latest, up to 256; all are counted' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand failures" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand failures" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand failures" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand problems" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand problems" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand problems" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand jobs" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand jobs" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand jobs" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand reload" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand reload" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand upgrade" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand upgrade" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand plan" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand plan" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand plan" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand restart" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand restart" -l force -d 'Go on against those refusals that may be overridden, and when the first clients do not come back'
complete -c batonctl -n "__fish_batonctl_using_subcommand restart" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand restart" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand drain" -l unit -d 'What this systemd unit serves; nothing is drained unless systemd is about to stop it' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand drain" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand drain" -l force -d 'Go on against those refusals that may be overridden'
complete -c batonctl -n "__fish_batonctl_using_subcommand drain" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand drain" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand resume" -l unit -d 'What this systemd unit serves; nothing is drained unless systemd is about to stop it' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand resume" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand resume" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand resume" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand cancel" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand cancel" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand attach" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand attach" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand attach" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand detach" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand detach" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand detach" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand monitor" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand monitor" -l json -d 'Write JSON for programs: one value, or with monitor one value a line'
complete -c batonctl -n "__fish_batonctl_using_subcommand monitor" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "status" -d 'Show what batond is doing'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "services" -d 'List the services with their clients'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "clients" -d 'List who is connected, those who came first first'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "certificates" -d 'List the certificates that are in use'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "failures" -d 'Show how many TLS handshakes failed since batond started, and why, and the latest of them'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "problems" -d 'List what is wrong, the worst first'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "jobs" -d 'List the jobs that run and those that ended lately'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "reload" -d 'Read the configuration and the certificates again; exit status 78 if something is wrong, and then nothing has changed'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "upgrade" -d 'Hand over to a new process of the program on disk, with the configuration on disk; returns when that serves'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "plan" -d 'Show what a restart of a service would do, and what is in its way; exit status 75 if something is'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "restart" -d 'Restart a service: hold newcomers, tell its clients in waves, restart its unit, let everybody in again'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "drain" -d 'Send the clients of a service away and hold newcomers, until `resume`; returns when all have left'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "resume" -d 'Let newcomers of a drained service in again; does not wait for them'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "cancel" -d 'Return the service of a job to normal, from wherever the job stands'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "attach" -d 'Make `systemctl restart UNIT` a coordinated restart: enable the companion unit that drains what UNIT serves before systemd stops it'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "detach" -d 'Take that back'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "monitor" -d 'Follow what happens, until Ctrl-C'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from status services clients certificates failures problems jobs reload upgrade plan restart drain resume cancel attach detach monitor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
