//! From a row's value cells to the sums of its shape, with every check the sums must pass.
//!
//! `0 <= num <= den`, non-negative squares, and the Cauchy-Schwarz bounds that real moments
//! cannot break (a broken one means that sums of different things were joined).

use super::Refusal;
use super::cell::{Number, count, number, shown};
use crate::plan::{Cell, Shape};
use crate::points::{Covariate, Extra, Sums};
use crate::spec::{COVARIATE, CUBES, Form};

/// Relative slack of the moment checks: sums of decimals are rounded.
const SLACK: f64 = 1e-9;

/// One row's numbers, by contract column.
struct Numbers<'a> {
    place: &'a str,
    cells: &'a [(&'static str, &'a Cell)],
}

impl Numbers<'_> {
    fn cell(&self, column: &str) -> &Cell {
        let found = self.cells.iter().find(|(name, _)| *name == column);
        found.map_or(&Cell::Missing, |(_, cell)| *cell)
    }

    /// A number that must be there.
    fn present(&self, column: &str, number: Number) -> Result<f64, Refusal> {
        let refuse = |why: &str, fix: &str| {
            let cell = shown(self.cell(column));
            Err(Refusal::new(self.place, why, fix).at(column, cell))
        };
        match number {
            Number::Num { value, .. } => Ok(value),
            Number::Missing => refuse(
                "nothing beside numbers in the same row",
                "return 0 where you counted nothing, or leave the row out",
            ),
            Number::NonFinite => {
                refuse("not a finite number", "return a count or a sum, not a quotient")
            }
        }
    }

    fn count(&self, column: &str) -> Result<f64, Refusal> {
        self.present(column, count(self.place, column, self.cell(column))?)
    }

    fn sum(&self, column: &str) -> Result<f64, Refusal> {
        self.present(column, number(self.place, column, self.cell(column))?)
    }

    fn positive(&self, column: &str) -> Result<f64, Refusal> {
        let value = self.sum(column)?;
        if value < 0.0 {
            return Err(self.broken(column, "a negative number", "it cannot be below zero"));
        }
        Ok(value + 0.0)
    }

    fn broken(&self, column: &str, why: &str, fix: &str) -> Refusal {
        Refusal::new(self.place, why, fix).at(column, shown(self.cell(column)))
    }

    fn share(&self, part: &str, whole: &str) -> Result<Sums, Refusal> {
        let (num, den) = (self.count(part)?, self.count(whole)?);
        if num > den {
            let why = format!("{part} is more than {whole} ({den})");
            let fix = format!("{part} counts units among {whole}");
            return Err(self.broken(part, &why, &fix));
        }
        Ok(Sums::Proportion { num, den })
    }

    /// `bound` must be at least `least` (both from squares): else the moments do not fit.
    fn fits(&self, column: &str, least: f64, bound: f64) -> Result<(), Refusal> {
        if least > bound + SLACK * (least.abs() + bound.abs()) {
            return Err(self.broken(
                column,
                "the moments do not fit together (negative variance)",
                "sum the squares of each unit's number over the same units",
            ));
        }
        Ok(())
    }

    fn mean(&self) -> Result<Sums, Refusal> {
        let (n, sum) = (self.count("n")?, self.sum("sum")?);
        let sum_sq = self.positive("sum_sq")?;
        self.fits("sum_sq", sum * sum, n * sum_sq)?;
        Ok(Sums::Mean { n, sum, sum_sq })
    }

    /// A proportion or mean with its optional columns. A sum of cubes fits if it is within the
    /// bound of the fourth moments that squares allow: `|sum y^3| <= (sum y^2)^1.5`.
    fn detailed(&self, plain: Sums, cubes: bool, covariate: bool) -> Result<Sums, Refusal> {
        let (share, n, sum, sum_sq) = match plain {
            Sums::Proportion { num, den } => (true, den, num, num),
            Sums::Mean { n, sum, sum_sq } => (false, n, sum, sum_sq),
            other => return Ok(other),
        };
        let mut extra = Extra::default();
        if cubes {
            let cubes = self.sum(CUBES)?;
            self.fits(CUBES, cubes.abs(), sum_sq * sum_sq.sqrt())?;
            extra.cubes = Some(cubes);
        }
        if covariate {
            let [of_x, of_squares, of_products] = COVARIATE;
            let (x, cross) = (self.sum(of_x)?, self.sum(of_products)?);
            let squares = self.positive(of_squares)?;
            self.fits(of_squares, x * x, n * squares)?;
            self.fits(of_products, cross * cross, sum_sq * squares)?;
            extra.covariate = Some(Covariate { sum: x, sum_sq: squares, cross });
        }
        Ok(Sums::Detailed { share, n, sum, sum_sq, extra })
    }

    fn ratio(&self) -> Result<Sums, Refusal> {
        let (n, num, den) = (self.count("n")?, self.sum("num")?, self.sum("den")?);
        let (num_sq, den_sq) = (self.positive("num_sq")?, self.positive("den_sq")?);
        let cross = self.sum("cross")?;
        self.fits("num_sq", num * num, n * num_sq)?;
        self.fits("den_sq", den * den, n * den_sq)?;
        self.fits("cross", cross * cross, num_sq * den_sq)?;
        Ok(Sums::Ratio { n, num, den, num_sq, den_sq, cross })
    }

    fn rate(&self) -> Result<Sums, Refusal> {
        let (events, exposure) = (self.count("events")?, self.positive("exposure")?);
        if exposure == 0.0 && events > 0.0 {
            let fix = "exposure counts what the events happened in";
            return Err(self.broken("events", "events without exposure", fix));
        }
        Ok(Sums::Rate { events, exposure })
    }
}

/// The sums of a row; `None` when it says nothing (a gap).
pub(super) fn sums(
    shape: Shape,
    place: &str,
    cells: &[(&'static str, &Cell)],
) -> Result<Option<Sums>, Refusal> {
    let mut missing = 0;
    for (column, cell) in cells {
        match number(place, column, cell)? {
            Number::Missing => missing += 1,
            Number::NonFinite if shape == Shape::Form(Form::Value) => missing += 1,
            _ => {}
        }
    }
    if missing == cells.len() {
        return Ok(None);
    }
    let row = Numbers { place, cells };
    let sums = match shape {
        Shape::Form(Form::Proportion) => row.share("num", "den")?,
        Shape::BadTotal => row.share("bad", "total")?,
        Shape::UnitsOver => row.share("over", "units")?,
        Shape::HitsOf => row.share("hits", "n")?,
        Shape::Mixed => row.share("mixed", "units")?,
        Shape::Eligible => row.share("units", "units")?,
        Shape::Detailed { share, cubes, covariate } => {
            let plain = if share { row.share("num", "den")? } else { row.mean()? };
            row.detailed(plain, cubes, covariate)?
        }
        Shape::Form(Form::Mean) => row.mean()?,
        Shape::Form(Form::Ratio) => row.ratio()?,
        Shape::Form(Form::Rate) => row.rate()?,
        Shape::Form(Form::Value) => Sums::Value { value: row.sum("value")? },
    };
    Ok(Some(sums))
}
