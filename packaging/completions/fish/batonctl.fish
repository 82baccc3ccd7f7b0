# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_batonctl_global_optspecs
    string join \n bus= h/help V/version
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
complete -c batonctl -n "__fish_batonctl_needs_command" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_needs_command" -s V -l version -d 'Print version'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "reload" -d 'Read the configuration and the certificates again; exit status 78 if something is wrong, and then nothing has changed'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "upgrade" -d 'Hand over to a new process of the program on disk, with the configuration on disk; returns when that serves'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "status" -d 'Show what batond is doing'
complete -c batonctl -n "__fish_batonctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c batonctl -n "__fish_batonctl_using_subcommand reload" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand upgrade" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -l bus -d 'D-Bus address of the bus that batond is on [default: the system bus]' -r
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -l json -d 'As JSON'
complete -c batonctl -n "__fish_batonctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from reload upgrade status help" -f -a "reload" -d 'Read the configuration and the certificates again; exit status 78 if something is wrong, and then nothing has changed'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from reload upgrade status help" -f -a "upgrade" -d 'Hand over to a new process of the program on disk, with the configuration on disk; returns when that serves'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from reload upgrade status help" -f -a "status" -d 'Show what batond is doing'
complete -c batonctl -n "__fish_batonctl_using_subcommand help; and not __fish_seen_subcommand_from reload upgrade status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
