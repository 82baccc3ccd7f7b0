# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_batond_global_optspecs
    string join \n config= log-level= bus= successor= h/help V/version
end

function __fish_batond_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_batond_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_batond_using_subcommand
    set -l cmd (__fish_batond_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c batond -n "__fish_batond_needs_command" -l config -d 'Configuration file; conf.d/*.toml beside it and BATOND_* variables are laid over it' -r -F
complete -c batond -n "__fish_batond_needs_command" -l log-level -d 'What is logged: error, warn, info, debug or trace' -r
complete -c batond -n "__fish_batond_needs_command" -l bus -d 'D-Bus address of the bus that systemd is on [default: the system bus]' -r
complete -c batond -n "__fish_batond_needs_command" -l successor -d 'Descriptor on which a predecessor passes the listening sockets' -r
complete -c batond -n "__fish_batond_needs_command" -s h -l help -d 'Print help'
complete -c batond -n "__fish_batond_needs_command" -s V -l version -d 'Print version'
complete -c batond -n "__fish_batond_needs_command" -f -a "check" -d 'Check the configuration and the certificates; exit status 78 if something is wrong'
complete -c batond -n "__fish_batond_needs_command" -f -a "demo" -d 'Show a planned restart, with an embedded backend and clients'
complete -c batond -n "__fish_batond_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c batond -n "__fish_batond_using_subcommand check" -l config -d 'The main file; `conf.d` beside it is read, too' -r -F
complete -c batond -n "__fish_batond_using_subcommand check" -l json -d 'Print what is found as JSON on standard output'
complete -c batond -n "__fish_batond_using_subcommand check" -l bind -d 'Try to bind the TCP addresses as well, which fails for those that a running batond has'
complete -c batond -n "__fish_batond_using_subcommand check" -s h -l help -d 'Print help'
complete -c batond -n "__fish_batond_using_subcommand demo" -l clients -d 'How many clients take part, 1 to 5000 [default: 500, or as many as `ulimit -n` allows]' -r
complete -c batond -n "__fish_batond_using_subcommand demo" -l json -d 'Print the report as JSON, and nothing else'
complete -c batond -n "__fish_batond_using_subcommand demo" -s v -l verbose -d 'Show batond\'s own log as it comes'
complete -c batond -n "__fish_batond_using_subcommand demo" -s h -l help -d 'Print help'
complete -c batond -n "__fish_batond_using_subcommand help; and not __fish_seen_subcommand_from check demo help" -f -a "check" -d 'Check the configuration and the certificates; exit status 78 if something is wrong'
complete -c batond -n "__fish_batond_using_subcommand help; and not __fish_seen_subcommand_from check demo help" -f -a "demo" -d 'Show a planned restart, with an embedded backend and clients'
complete -c batond -n "__fish_batond_using_subcommand help; and not __fish_seen_subcommand_from check demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
