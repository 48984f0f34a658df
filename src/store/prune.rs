//! Retention of points: old periods are deleted whole, with all their versions, a batch at a time.
//!
//! Which periods nobody needs is decided in `cycle::prune`. Evaluations, their frozen inputs and
//! the log are never touched: what was decided stays explainable without the points.

use judge::time::Timestamp;

use super::sql::args;
use super::{Store, StoreError};

impl Store {
    /// Series that hold periods ending at or before `end`, with the end of their oldest one.
    pub async fn series_before(
        &self,
        end: Timestamp,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.read(move |sql| {
            let rows = sql.query(
                "SELECT series_id, MIN(period_end) AS oldest FROM points
                 WHERE period_end <= ?1 GROUP BY series_id ORDER BY series_id",
                args![end],
            )?;
            rows.iter().map(|row| Ok((row.text("series_id")?, row.time("oldest")?))).collect()
        })
        .await
    }

    /// Deletes at most `most` of the oldest periods of a series that end at or before `end`; says
    /// how many rows went.
    pub async fn prune_points(
        &self,
        series_id: &str,
        end: Timestamp,
        most: usize,
    ) -> Result<u64, StoreError> {
        let series_id = series_id.to_owned();
        self.write(move |sql| {
            sql.exec(
                "DELETE FROM points WHERE series_id = ?1 AND (period_start, period_end, arm) IN (
                     SELECT DISTINCT period_start, period_end, arm FROM points
                     WHERE series_id = ?1 AND period_end <= ?2
                     ORDER BY period_end, period_start, arm LIMIT ?3)",
                args![&series_id, end, most],
            )
        })
        .await
    }
}
