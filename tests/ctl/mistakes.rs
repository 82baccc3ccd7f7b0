//! Mistakes of the operator are named, with what was meant.

use crate::tell::rich_world;
use crate::world::failed_with;

const USAGE: i32 = 64;

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let (world, _, _folder) = rich_world();
    for (arguments, meant) in [
        (
            ["services", "caht"],
            "there is no service \"caht\" (did you mean \"chat\"?)",
        ),
        (
            ["clients", "ehco"],
            "there is no service \"ehco\" (did you mean \"echo\"?)",
        ),
        (["services", "trading"], "there is no service \"trading\"\n"),
        (
            ["certificates", "exmaple"],
            "there is no certificate in use \"exmaple\" (did you mean \"example\"?)",
        ),
    ] {
        let text = failed_with(USAGE, &world.ctl(&arguments));
        assert!(text.contains(meant), "{text}");
    }
}

#[test]
fn an_unknown_command_is_a_mistake_on_the_command_line() {
    let (world, _, _folder) = rich_world();
    let text = failed_with(USAGE, &world.ctl(&["relaod"]));
    assert!(text.contains("'reload'"), "{text}");
}
