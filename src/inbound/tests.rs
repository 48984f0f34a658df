//! Every way a signed request can be wrong, and the vendors' own examples of right ones.

use axum::http::{HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PRIVATE: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

/// The instant of the specification's example.
fn then() -> Timestamp {
    Timestamp::from_second(1_614_265_330).unwrap()
}

fn key(text: &str) -> VerifyingKey {
    VerifyingKey::parse(&Secret::new(text)).unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

fn signed(secret: &str, id: &str, second: i64, body: &[u8]) -> String {
    let key = SigningKey::parse(&Secret::new(secret)).unwrap();
    sign::signature(&[key], id, second, body)
}

/// The three headers, each as given.
fn three(id: &str, stamp: &str, signature: &str) -> HeaderMap {
    headers(&[("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature)])
}

fn check(headers: &HeaderMap) -> Result<usize, Refused> {
    standard(&[key(SECRET)], headers, BODY, then()).map(|(index, _)| index)
}

/// The signature is the one printed in the Standard Webhooks specification.
#[test]
fn the_example_of_the_specification_is_taken() {
    let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let headers = three(ID, "1614265330", good);
    let (index, verified) = standard(&[key(SECRET)], &headers, BODY, then()).unwrap();
    assert_eq!((index, verified.signed_at), (0, then()));
    assert_eq!(verified.replay_key, format!("id:{ID}"));
    // Among entries of other keys and versions, too.
    let many = format!("v1,AAAA v1a,AAAA rubbish v2,{} {good}", &good[3..]);
    assert_eq!(check(&three(ID, "1614265330", &many)), Ok(0));
    // Another key is tried first; the one that fits is named.
    let keys = [key(OTHER), key(PUBLIC), key(SECRET)];
    assert_eq!(standard(&keys, &headers, BODY, then()).unwrap().0, 2);
}

#[test]
fn an_ed25519_signature_is_verified_with_the_public_key_alone() {
    let signature = signed(PRIVATE, ID, then().as_second(), BODY);
    let headers = three(ID, "1614265330", &signature);
    assert_eq!(standard(&[key(PUBLIC)], &headers, BODY, then()).unwrap().0, 0);
    let changed = standard(&[key(PUBLIC)], &headers, b"{}", then());
    assert_eq!(changed.unwrap_err(), Refused::Signature);
    assert_eq!(check(&headers), Err(Refused::Signature), "a shared key is not a public one");
    // A `v1` entry with the public key as its secret must not pass: whoever knows it could sign.
    let public = STANDARD.decode(PUBLIC.strip_prefix("whpk_").unwrap()).unwrap();
    let forged = format!("whsec_{}", STANDARD.encode(public));
    let forged = three(ID, "1614265330", &signed(&forged, ID, then().as_second(), BODY));
    let refused = standard(&[key(PUBLIC)], &forged, BODY, then());
    assert_eq!(refused.unwrap_err(), Refused::Signature);
}

#[test]
fn what_was_altered_is_refused() {
    let at = then().as_second();
    let good = signed(SECRET, ID, at, BODY);
    for (id, stamp, signature, refused) in [
        ("msg_other", "1614265330", good.as_str(), Refused::Signature),
        (ID, "1614265331", good.as_str(), Refused::Signature),
        (ID, "1614265330", "", Refused::Signature),
        (ID, "1614265330", "v1", Refused::Signature),
        (ID, "1614265330", "v1,", Refused::Signature),
        (ID, "1614265330", &good[3..], Refused::Signature),
        (ID, "1614265330", &good[..good.len() - 1], Refused::Signature),
        (ID, "1614265330", &signed(OTHER, ID, at, BODY), Refused::Signature),
        (ID, "1614265330", &format!("{}{good}", "v1,AAAA ".repeat(16)), Refused::Signature),
        (ID, "01614265330", good.as_str(), Refused::Header("webhook-timestamp")),
        (ID, "+1614265330", good.as_str(), Refused::Header("webhook-timestamp")),
        (ID, "1614265330.0", good.as_str(), Refused::Header("webhook-timestamp")),
        (ID, "9223372036854775807", good.as_str(), Refused::Header("webhook-timestamp")),
        (ID, "99999999999999999999", good.as_str(), Refused::Header("webhook-timestamp")),
        (ID, "", good.as_str(), Refused::Header("webhook-timestamp")),
        ("", "1614265330", good.as_str(), Refused::Header("webhook-id")),
        ("msg.1", "1614265330", good.as_str(), Refused::Header("webhook-id")),
        ("msg 1", "1614265330", good.as_str(), Refused::Header("webhook-id")),
        (&"m".repeat(257), "1614265330", good.as_str(), Refused::Header("webhook-id")),
    ] {
        assert_eq!(check(&three(id, stamp, signature)), Err(refused), "{id} {stamp} {signature}");
    }
    let headers = three(ID, "1614265330", &good);
    for body in [&b"{\"test\": 2432232314} "[..], b"", b"{\"test\": 2432232315}"] {
        let changed = standard(&[key(SECRET)], &headers, body, then());
        assert_eq!(changed.unwrap_err(), Refused::Signature);
    }
    assert_eq!(standard(&[], &headers, BODY, then()).unwrap_err(), Refused::Signature);
}

#[test]
fn each_header_counts_only_when_it_comes_once() {
    let good = signed(SECRET, ID, then().as_second(), BODY);
    let pairs =
        [("webhook-id", ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", &good)];
    assert_eq!(check(&headers(&pairs)), Ok(0));
    for (index, (name, value)) in pairs.iter().enumerate() {
        let mut fewer = pairs.to_vec();
        fewer.remove(index);
        assert_eq!(check(&headers(&fewer)), Err(Refused::Header(name)), "without {name}");
        let mut more = pairs.to_vec();
        more.push((name, value));
        assert_eq!(check(&headers(&more)), Err(Refused::Header(name)), "twice {name}");
        more[index].1 = "x";
        assert_eq!(check(&headers(&more)), Err(Refused::Header(name)), "another {name} first");
        let mut odd = pairs.to_vec();
        odd[index].1 = "\u{e4}";
        assert_eq!(check(&headers(&odd)), Err(Refused::Header(name)), "{name} is no ASCII");
    }
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    for (skew, is_ok) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
        let second = then().as_second() + skew;
        let headers = three(ID, &second.to_string(), &signed(SECRET, ID, second, BODY));
        let expected = if is_ok { Ok(0) } else { Err(Refused::Clock) };
        assert_eq!(check(&headers), expected, "{skew} s");
    }
}

/// The example of Slack's page "Verifying requests from Slack".
#[test]
fn slacks_own_example_is_taken() {
    let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&\
        channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&\
        command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let good = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let (name, stamp) = ("x-slack-signature", "x-slack-request-timestamp");
    let now = Timestamp::from_second(1_531_420_618).unwrap();
    let pairs = [(name, good), (stamp, "1531420618")];
    let verified = slack(&secret, &headers(&pairs), body, now).unwrap();
    assert_eq!(verified.signed_at, now);
    let refused =
        |pairs: &[(&str, &str)], now| slack(&secret, &headers(pairs), body, now).unwrap_err();
    let late = Timestamp::from_second(1_531_420_618 + 301).unwrap();
    assert_eq!(refused(&pairs, late), Refused::Clock);
    assert_eq!(refused(&[(name, good), (stamp, "1531420619")], now), Refused::Signature);
    assert_eq!(refused(&pairs[..1], now), Refused::Header(stamp));
    assert_eq!(refused(&pairs[1..], now), Refused::Header(name));
    let twice = [(name, good), (stamp, "1531420618"), (stamp, "1531420618")];
    assert_eq!(refused(&twice, now), Refused::Header(stamp));
    let wrong = slack(&secret, &headers(&pairs), b"text=stop", now);
    assert_eq!(wrong.unwrap_err(), Refused::Signature);
}

fn seen(id: &str, signed_at: Timestamp) -> Verified {
    Verified { replay_key: id.to_owned(), signed_at }
}

#[test]
fn a_request_is_taken_once_in_ten_minutes() {
    let after = |seconds: i64| Timestamp::from_second(then().as_second() + seconds).unwrap();
    let cache = ReplayCache::new(then());
    let request = seen("a", then());
    assert_eq!(cache.admit(&request, then()), Ok(()));
    assert_eq!(cache.admit(&request, then()), Err(Refused::Replayed));
    assert_eq!(cache.admit(&seen("b", then()), then()), Ok(()));
    assert_eq!(cache.admit(&request, after(600)), Err(Refused::Replayed));
    assert_eq!(cache.admit(&request, after(601)), Ok(()), "its timestamp refuses it by then");
    cache.forget(&request);
    assert_eq!(cache.admit(&request, after(601)), Ok(()), "it failed on our side");
}

#[test]
fn what_was_signed_before_the_start_may_have_been_taken_then() {
    let cache = ReplayCache::new(then());
    let before = Timestamp::from_second(then().as_second() - 1).unwrap();
    assert_eq!(cache.admit(&seen("a", before), then()), Err(Refused::BeforeStart));
    assert_eq!(cache.admit(&seen("a", then()), then()), Ok(()));
}

#[test]
fn a_full_cache_refuses_and_forgets_nothing_early() {
    let cache = ReplayCache::new(then());
    for number in 0..MAX_REMEMBERED {
        cache.admit(&seen(&number.to_string(), then()), then()).unwrap();
    }
    assert_eq!(cache.admit(&seen("one more", then()), then()), Err(Refused::Full));
    assert_eq!(cache.admit(&seen("0", then()), then()), Err(Refused::Replayed));
    let later = Timestamp::from_second(then().as_second() + 601).unwrap();
    assert_eq!(cache.admit(&seen("one more", then()), later), Ok(()));
}

#[test]
fn keys_that_do_not_verify_are_refused_and_none_is_shown() {
    for text in ["hunter2", "whsec_c2hvcnQ=", "whpk_c2hvcnQ=", "whpk_%", PRIVATE, ""] {
        assert_eq!(VerifyingKey::parse(&Secret::new(text)).unwrap_err(), Refused::Key, "{text}");
    }
    assert_eq!(
        format!("{:?} {:?}", key(SECRET), key(PUBLIC)),
        "VerifyingKey(***) VerifyingKey(***)"
    );
}
