//! `verdictd notify`: keys as they are made, and the forms of messages as they are printed.

use super::fakes::daemon::{run, text};

#[test]
fn keygen_prints_the_key_alone_and_says_where_it_goes() {
    for (arguments, prefix, length, hint) in [
        (&["notify", "keygen"][..], "whsec_", 39, "secret = {file"),
        (&["notify", "keygen", "--long"][..], "whsec_", 71, "secret = {file"),
        (&["notify", "keygen", "--ed25519"][..], "whsk_", 50, "private_key = {file"),
    ] {
        let output = run(arguments, &[]);
        assert!(output.status.success(), "{arguments:?}");
        let (key, told) = (text(&output.stdout), text(&output.stderr));
        assert!(key.starts_with(prefix) && key.len() == length, "{key}");
        assert!(told.contains(hint), "{told}");
        assert!(!told.contains(key.trim()), "the key stands twice");
        assert_eq!(told.contains("whpk_"), prefix == "whsk_", "{told}");
    }
}
