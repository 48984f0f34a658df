//! Whatever a source writes, the step answers.

use super::*;
use proptest::prelude::*;

const NUMBER: &str = "[-+0-9.,eNa%]{0,12}";

proptest! {
    /// Whatever a source writes into cells, the step answers and never panics; what it
    /// accepts obeys the contract.
    #[test]
    fn any_cells_are_points_or_a_refusal(
        cells in prop::collection::vec(
            ("2026-08-0[1-9].{0,6}|[0-9T:. +Zé-]{0,24}", NUMBER, NUMBER), 1..20,
        )
    ) {
        let lines: Vec<Row> = cells.iter().map(|(time, num, den)| Row {
            cells: [time, num, den].map(|text| Cell::Text(text.clone())).to_vec(),
            place: "row".into(),
        }).collect();
        let columns = ["time", "num", "den"].map(str::to_owned).to_vec();
        let batch = Batch { columns, rows: lines, ..Batch::default() };
        let request = request(PROPORTION, &[]);
        if let Ok(points) = points(&request, &batch) {
            for point in points {
                let [num, den, ..] = point.sums.to_array();
                prop_assert!(0.0 <= num && num <= den && den.fract() == 0.0);
                prop_assert!(request.need.window.holds(point.start, point.end));
            }
        }
    }
}
