//! The play itself: put everything in place, jump from due instant to due instant, sum up.
//!
//! The clock moves only when all due work of an instant, first delivery attempts included, is
//! done (`App::settle`); so a run of one seed is the same on any machine.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use judge::lifecycle::{Life, LifeState};
use judge::time::{DAY_MS, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::data::Stories;
use super::flags::Flags;
use super::prometheus::Prometheus;
use super::receiver::{Received, Receiver};
use super::settings::{self, ACTIONS, FLAG_TOKEN, Places, SIGNING_SECRET, Servers, TICKETS};
use super::stage::{self, Stage};
use super::tell::Teller;
use super::{DemoOptions, DemoOutcome, Reached, STORIES, StoryOutcome};
use crate::app::App;
use crate::clock::ManualClock;

/// More evaluations than any story has.
const MAX_EVALUATIONS: usize = 10_000;

/// Plays the five stories and returns what they came to.
pub async fn run(options: DemoOptions) -> anyhow::Result<DemoOutcome> {
    let began = std::time::Instant::now();
    let places = places(&options);
    let mut show = Show::open(&options, &places).await?;
    let page = format!("http://{}", show.page);
    show.teller.opening(options.seed, &page)?;
    tokio::select! {
        played = show.play() => played?,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            show.close().await?;
            tidy(&options, &places);
            anyhow::bail!("interrupted");
        }
    }
    let outcome = DemoOutcome {
        stories: show.outcome().await?,
        received: show.receiver.received(),
        calls: show.flags.calls(),
        seconds: began.elapsed().as_secs_f64(),
    };
    show.teller.summary(&outcome.stories, outcome.seconds)?;
    if options.keep_open {
        show.teller.open(&page)?;
        tokio::signal::ctrl_c().await?;
    }
    show.close().await?;
    tidy(&options, &places);
    Ok(outcome)
}

fn places(options: &DemoOptions) -> Places {
    let root = options.dir.clone().unwrap_or_else(|| {
        let name = format!("verdictd-demo-{}-{}", std::process::id(), options.seed);
        std::env::temp_dir().join(name)
    });
    Places { root }
}

/// A temporary folder goes; a leftover would only take space.
fn tidy(options: &DemoOptions, places: &Places) {
    if options.dir.is_none()
        && let Err(error) = std::fs::remove_dir_all(&places.root)
    {
        tracing::warn!(folder = %places.root.display(), %error, "the demo's folder stays");
    }
}

/// Everything that runs during the play.
struct Show {
    app: App,
    page: std::net::SocketAddr,
    clock: Arc<ManualClock>,
    stage: Stage,
    teller: Teller,
    receiver: Receiver,
    flags: Flags,
    messages: broadcast::Receiver<Received>,
    servers: TaskTracker,
    end: CancellationToken,
}

impl Show {
    async fn open(options: &DemoOptions, places: &Places) -> anyhow::Result<Self> {
        fresh(&places.root)?;
        let stories = Arc::new(Stories::generate(options.seed));
        let clock = Arc::new(ManualClock::new(stage::opening()));
        let stage = Stage::set(Arc::clone(&stories), &places.experiments(), &places.data())?;
        let (servers, end) = (TaskTracker::new(), CancellationToken::new());
        let flag_names = ACTIONS.map(|(_, flag)| flag);
        let flags = Flags::new(&flag_names, FLAG_TOKEN, clock.clone());
        let receiver = Receiver::new(SIGNING_SECRET)?;
        let metrics =
            Prometheus::new(stories.metrics.clone(), clock.clone(), vec![stage::outage()]);
        let addresses = Servers {
            prometheus: serve(&servers, &end, metrics.router()).await?,
            desk: serve(&servers, &end, receiver.router().merge(flags.router())).await?,
        };
        let listener = listener(&options.listen).await?;
        let page = listener.local_addr()?;
        settings::write(places, addresses, &page.to_string())?;
        let loaded = crate::settings::load(Some(&places.config()), &[], &[])?;
        let app = App::start_manual(loaded.settings, clock.clone(), Some(listener)).await?;
        let messages = receiver.subscribe();
        let teller = Teller::to_stdout(options.quiet);
        Ok(Self { app, page, clock, stage, teller, receiver, flags, messages, servers, end })
    }

    async fn play(&mut self) -> anyhow::Result<()> {
        let mut at = stage::opening();
        loop {
            for happening in self.stage.apply_due(at)? {
                self.teller.happening(&happening)?;
            }
            self.app.settle().await?;
            self.tell()?;
            if self.is_over(at).await? {
                return Ok(());
            }
            let due = self.app.next_due().await?;
            let next = [due, self.stage.next_after(at)].into_iter().flatten();
            let next = next.filter(|next| *next > at && *next <= stage::curtain()).min();
            let Some(next) = next else { return Ok(()) };
            at = next;
            self.clock.advance_to(at);
            self.teller.progress(at)?;
        }
    }

    /// Tells what arrived at the ticket system, which all five stories notify.
    fn tell(&mut self) -> anyhow::Result<()> {
        loop {
            match self.messages.try_recv() {
                Ok(message) if message.receiver == TICKETS => self.teller.message(&message.body)?,
                Ok(_) | Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return Ok(()),
            }
        }
    }

    /// Whether the last story has ended; asked once a day of the story.
    async fn is_over(&self, at: Timestamp) -> anyhow::Result<bool> {
        if at.as_millisecond() % DAY_MS != 0 {
            return Ok(false);
        }
        let mut ended = 0;
        for row in self.app.store().experiments().await? {
            let life: LifeState = serde_json::from_str(&row.life_json)
                .with_context(|| format!("the stored life of {}", row.id))?;
            let is_over = matches!(life.life, Life::Graduated | Life::Stopped | Life::Archived);
            ended += usize::from(is_over);
        }
        Ok(ended == STORIES.len())
    }

    async fn outcome(&self) -> anyhow::Result<Vec<StoryOutcome>> {
        let mut stories = Vec::new();
        for (experiment, expected) in STORIES {
            let rows = self.app.store().evaluations(experiment, None, MAX_EVALUATIONS).await?;
            let mut reached: Vec<Reached> = Vec::new();
            for row in rows.into_iter().rev().filter(|row| row.verdict != "collecting") {
                let is_same = reached
                    .last()
                    .is_some_and(|last| last.verdict == row.verdict && last.cause == row.cause);
                if !is_same {
                    let (verdict, cause, at) = (row.verdict, row.cause, row.scheduled_at);
                    reached.push(Reached { verdict, cause, at });
                }
            }
            stories.push(StoryOutcome { experiment, expected, reached });
        }
        Ok(stories)
    }

    async fn close(self) -> anyhow::Result<()> {
        self.app.shutdown().await?;
        self.end.cancel();
        self.servers.close();
        self.servers.wait().await;
        Ok(())
    }
}

/// An empty folder; one that already holds something else is left alone.
fn fresh(root: &PathBuf) -> anyhow::Result<()> {
    let has_files = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(!has_files, "{} is not empty; name an empty folder", root.display());
    std::fs::create_dir_all(root).with_context(|| format!("create {}", root.display()))
}

/// Serves on a free loopback port until the end.
async fn serve(
    tasks: &TaskTracker,
    end: &CancellationToken,
    router: axum::Router,
) -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = end.clone().cancelled_owned();
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop).await;
        if let Err(error) = served {
            tracing::error!(%error, "a server of the demo ended");
        }
    });
    Ok(address)
}

/// The wanted address, or the same host with a free port when it is in use.
async fn listener(wanted: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(wanted).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let host = wanted.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
            TcpListener::bind(format!("{host}:0")).await
        }
        other => other,
    }
    .with_context(|| format!("listen on {wanted}"))
}
