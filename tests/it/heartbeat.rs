//! The dead-man's switch: pinged while all is well, silent when a slot is late.

use std::sync::Arc;

use judge::time::{DAY_MS, add_ms};
use verdictd::app::App;
use verdictd::clock::{Clock as _, ManualClock, SystemClock};
use verdictd::deliver::heart::Heart;
use verdictd::settings;
use verdictd::tasks::heartbeat::beat;

use super::fakes::home::{Home, Idea};
use super::fakes::metrics::{Metrics, Mood};
use super::fakes::receiver::Receiver;

/// Pings so far, and the counters of the page.
fn counted(app: &App, label: &str) -> bool {
    let line = format!("verdictd_heartbeats_total{{{label}}} 1");
    app.inner().metrics.render().contains(&line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_slot_silences_the_heartbeat_until_it_is_answered() {
    let home = Home::new();
    let metrics = Metrics::start(Mood::Calm).await;
    let switch = Receiver::start().await;
    let secret = home.path().join("switch");
    std::fs::write(&secret, switch.url("/ping/secret")).unwrap();
    let more = format!(
        "[heartbeat]\nurl = {{ file = \"{}\" }}\nallow_private = true\n\
         [receivers.hook.webhook]\nurl = \"{}\"\nallow_private = true\n",
        secret.display(),
        switch.url("/hook")
    );
    let path = home.settings(&metrics.url(), &more);
    home.experiment(&Idea::default());
    let settings = settings::load(Some(&path), &[], &[]).unwrap().settings;
    let heart = Heart::build(&settings.heartbeat).unwrap().unwrap();
    let clock = Arc::new(ManualClock::new(SystemClock.wall_now()));
    let app = App::start_manual(settings, clock.clone(), None).await.unwrap();
    let pings = || switch.received().iter().filter(|it| it.path == "/ping/secret").count();

    beat(app.inner(), &heart).await;
    assert_eq!(pings(), 0, "the outbox was never looked at");
    assert!(counted(&app, "outcome=\"held\",reason=\"outbox_idle\""));
    app.settle().await.unwrap();
    beat(app.inner(), &heart).await;
    assert_eq!(pings(), 1);
    clock.advance_to(add_ms(clock.domain_now(), DAY_MS));
    beat(app.inner(), &heart).await;
    assert_eq!(pings(), 1, "the guardrail's slots are late");
    assert!(counted(&app, "outcome=\"held\",reason=\"slot_late\""));
    app.settle().await.unwrap();
    beat(app.inner(), &heart).await;
    assert_eq!(pings(), 2);
    app.shutdown().await.unwrap();
}
