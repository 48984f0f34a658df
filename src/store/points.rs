//! Points: append-only versions of what sources said.
//!
//! A second fetch with equal sums writes nothing; other sums become a new version, and the newest
//! version wins on read. Series are shared between experiments by the hash of their definition.

use std::collections::BTreeMap;

use judge::points::{Point, Sums};
use judge::time::{Timestamp, Window};

use super::sql::{Row, Sql, args, bad};
use super::{NewPoints, Restated, Store, StoreError};

/// Period and arm: what a version is a version of.
type Key = (Timestamp, Timestamp, String);

impl Store {
    /// The newest version of every point whose period lies in the window, by period and arm.
    pub async fn points(&self, series_id: &str, window: Window) -> Result<Vec<Point>, StoreError> {
        let series_id = series_id.to_owned();
        self.read(move |sql| {
            let newest = newest_versions(sql, &series_id, window)?;
            let points = newest.into_iter().map(|((start, end, arm), (_, sums))| Point {
                arm,
                start,
                end,
                sums,
            });
            Ok(points.collect())
        })
        .await
    }

    /// End of the newest period of a series.
    pub async fn newest_point_end(&self, series_id: &str) -> Result<Option<Timestamp>, StoreError> {
        let series_id = series_id.to_owned();
        self.read(move |sql| {
            let row = sql.first(
                "SELECT MAX(period_end) AS at FROM points WHERE series_id = ?1",
                args![&series_id],
            )?;
            row.map_or(Ok(None), |row| row.opt_time("at"))
        })
        .await
    }
}

fn newest_versions(
    sql: &dyn Sql,
    series_id: &str,
    window: Window,
) -> Result<BTreeMap<Key, (i64, Sums)>, StoreError> {
    let rows = sql.query(
        "SELECT period_start, period_end, arm, version, form, s1, s2, s3, s4, s5, s6, s7
         FROM points WHERE series_id = ?1 AND period_start >= ?2 AND period_end <= ?3
         ORDER BY period_start, period_end, arm, version",
        args![series_id, window.start, window.end],
    )?;
    let mut newest = BTreeMap::new();
    for row in &rows {
        let key = (row.time("period_start")?, row.time("period_end")?, row.text("arm")?);
        newest.insert(key, (row.int("version")?, sums(row)?));
    }
    Ok(newest)
}

fn sums(row: &Row) -> Result<Sums, StoreError> {
    let mut array = [0.0; 7];
    for (slot, column) in array.iter_mut().zip(["s1", "s2", "s3", "s4", "s5", "s6", "s7"]) {
        *slot = row.real(column)?;
    }
    Sums::from_array(&row.text("form")?, array).ok_or_else(|| bad("form", "no such form"))
}

/// Refuses sums that are no numbers before a transaction is opened for them.
pub(super) fn refuse_non_finite(new: &[NewPoints]) -> Result<(), StoreError> {
    for batch in new {
        for point in &batch.points {
            if point.sums.to_array().iter().any(|sum| !sum.is_finite()) {
                let what = format!("a sum of series {} at {}", batch.series_id, point.start);
                return Err(StoreError::NotFinite(what));
            }
        }
    }
    Ok(())
}

/// Appends what is new or differs; returns what differs from an earlier version.
pub(super) fn append(sql: &dyn Sql, new: &NewPoints) -> Result<Vec<Restated>, StoreError> {
    let start = new.points.iter().map(|point| point.start).min();
    let end = new.points.iter().map(|point| point.end).max();
    let (Some(start), Some(end)) = (start, end) else {
        return Ok(Vec::new());
    };
    let mut newest = newest_versions(sql, &new.series_id, Window { start, end })?;
    let mut restated = Vec::new();
    for point in &new.points {
        // Instants are kept in milliseconds: compare what would be read back.
        let key = (in_ms(point.start), in_ms(point.end), point.arm.clone());
        let before = newest.get(&key).copied();
        if before.is_some_and(|(_, sums)| sums == point.sums) {
            continue;
        }
        let version = before.map_or(1, |(version, _)| version + 1);
        insert(sql, new, point, version)?;
        newest.insert(key, (version, point.sums));
        if let Some((_, before)) = before {
            let series_id = new.series_id.clone();
            restated.push(Restated { series_id, point: point.clone(), before, version });
        }
    }
    Ok(restated)
}

fn in_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn insert(sql: &dyn Sql, new: &NewPoints, point: &Point, version: i64) -> Result<(), StoreError> {
    let [s1, s2, s3, s4, s5, s6, s7] = point.sums.to_array();
    sql.exec(
        "INSERT INTO points (series_id, period_start, period_end, arm, version, form,
             s1, s2, s3, s4, s5, s6, s7, fetched_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        args![
            &new.series_id,
            point.start,
            point.end,
            &point.arm,
            version,
            point.sums.form_name(),
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            new.fetched_at,
        ],
    )
    .map(drop)
}
