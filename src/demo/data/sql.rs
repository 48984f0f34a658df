//! The activation story as a PostgreSQL database: tables and rows that the SQL files ask.
//!
//! Plain multi-row inserts, so that any client can load the text as it is.

use super::activation::{ARMS, Activation};
use super::files::writeln_to;

const TABLES: &str = "\
create table signups (
  user_id integer primary key,
  signed_up_at timestamptz not null,
  arm text not null,
  segment text not null
);
create table events (user_id integer not null, name text not null, at timestamptz not null);
create table emails (user_id integer not null, sent_at timestamptz not null);
create table csat (user_id integer not null, at timestamptz not null, satisfied boolean not null);
";
const INDEXES: &str = "\
create index on events (user_id, name, at);
create index on emails (user_id, sent_at);
create index on csat (user_id, at);
";
const ROWS_PER_INSERT: usize = 1_000;

/// Tables, rows and indexes.
pub(super) fn text(story: &Activation) -> String {
    let instant = |ms: i64| {
        judge::time::Timestamp::from_millisecond(ms)
            .map_or_else(|_| String::new(), |at| at.to_string())
    };
    let users = &story.users;
    let mut text = TABLES.to_owned();
    let signups = users.iter().map(|user| {
        let (at, arm) = (instant(user.at), ARMS[user.arm]);
        format!("({},'{at}','{arm}','{}')", user.id, user.segment)
    });
    insert(&mut text, "signups", signups.collect());
    let events = users.iter().flat_map(|user| {
        let row = |(at, name): &(i64, &str)| format!("({},'{name}','{}')", user.id, instant(*at));
        user.events.iter().map(row).collect::<Vec<_>>()
    });
    insert(&mut text, "events", events.collect());
    let mails = users.iter().flat_map(|user| {
        user.mails.iter().map(|at| format!("({},'{}')", user.id, instant(*at))).collect::<Vec<_>>()
    });
    insert(&mut text, "emails", mails.collect());
    let answers = users.iter().flat_map(|user| {
        let row = |(at, happy): &(i64, bool)| format!("({},'{}',{happy})", user.id, instant(*at));
        user.answers.iter().map(row).collect::<Vec<_>>()
    });
    insert(&mut text, "csat", answers.collect());
    text.push_str(INDEXES);
    text
}

fn insert(text: &mut String, table: &str, rows: Vec<String>) {
    for chunk in rows.chunks(ROWS_PER_INSERT) {
        writeln_to(text, format_args!("insert into {table} values\n{};", chunk.join(",\n")));
    }
}
