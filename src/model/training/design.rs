//! Training rows as the solvers see them: numbers standardized, categories one-hot encoded.
//!
//! A column of the design is one number or one level, in the order of the schema. The whole matrix exists
//! only for linfa; the Newton fit asks for the numbers of a block of rows and for the level of a row.

use std::ops::Range;

use ndarray::Array2;
use ndarray::ShapeBuilder;

use crate::model::dataset::ColumnValues;
use crate::model::dataset::Dataset;
use crate::model::dataset::words::Words;
use crate::model::schema::FeatureKind;
use crate::model::schema::Schema;

/// The design of some rows of a data set.
pub(crate) struct Design<'d> {
    rows: &'d [usize],
    width: usize,
    numbers: Vec<Numbers<'d>>,
    categories: Vec<Category<'d>>,
}

/// A fitted model: the log-odds are `intercept + coefficients * x`.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) intercept: f64,
    pub(crate) coefficients: Vec<f64>,
}

impl Fitted {
    /// The same model with the coefficients of complete categories centered.
    pub(crate) fn centered(mut self, design: &Design<'_>) -> Self {
        self.coefficients.push(self.intercept);
        design.center(&mut self.coefficients);
        self.intercept = self.coefficients.pop().unwrap_or_default();
        self
    }
}

/// A numeric column.
struct Numbers<'d> {
    values: &'d [f64],
    mean: f64,
    scale: f64,
    column: usize,
}

/// A categorical column.
struct Category<'d> {
    words: &'d Words,
    /// The column of the design for each distinct text; [`Design::no_column`] without a level.
    columns: Vec<usize>,
    /// The columns of the design.
    levels: Range<usize>,
    /// Whether each row has a level.
    is_complete: bool,
}

impl<'d> Design<'d> {
    /// The design of these rows. The schema was learned from the data set, so the kinds agree.
    pub(crate) fn new(dataset: &'d Dataset, schema: &Schema, rows: &'d [usize]) -> Self {
        let width = schema.encoded_width();
        let (mut numbers, mut categories) = (Vec::new(), Vec::new());
        let mut start = 0;
        for (feature, column) in schema.features().iter().zip(dataset.columns()) {
            match (&feature.kind, &column.values) {
                (FeatureKind::Numeric { mean, scale }, ColumnValues::Numeric(values)) => {
                    numbers.push(Numbers { values, mean: *mean, scale: *scale, column: start });
                }
                (FeatureKind::Categorical { levels }, ColumnValues::Categorical(words)) => {
                    let column = |text: &String| {
                        levels.binary_search(text).map_or(width + 1, |level| start + level)
                    };
                    let columns = words.texts().iter().map(column).collect();
                    let is_complete = rows.iter().all(|row| words.code(*row).is_some());
                    let levels = start..start + levels.len();
                    categories.push(Category { words, columns, levels, is_complete });
                }
                (FeatureKind::Number, _)
                | (FeatureKind::Numeric { .. }, ColumnValues::Categorical(_))
                | (FeatureKind::Categorical { .. }, ColumnValues::Numeric(_)) => {}
            }
            start += feature.kind.width();
        }
        Self { rows, width, numbers, categories }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of columns.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The columns that are numbers.
    pub(crate) fn number_columns(&self) -> impl Iterator<Item = usize> {
        self.numbers.iter().map(|numbers| numbers.column)
    }

    /// Number of categorical features.
    pub(crate) fn categories(&self) -> usize {
        self.categories.len()
    }

    /// Moves the mean of the coefficients of each category into the intercept, which is last. Where each
    /// row has a level this changes no prediction, and the mean of the minimum is 0, but with a small
    /// penalty a solver hardly feels it.
    pub(crate) fn center(&self, weights: &mut [f64]) {
        for Category { levels, .. } in self.categories.iter().filter(|one| one.is_complete) {
            let own = &mut weights[levels.clone()];
            let mean = own.iter().sum::<f64>() / own.len() as f64;
            own.iter_mut().for_each(|weight| *weight -= mean);
            weights[self.width] += mean;
        }
    }

    /// Fills the standardized values of one numeric feature for the rows from `start` on.
    pub(crate) fn fill_numbers(&self, index: usize, start: usize, filled: &mut [f64]) {
        let Numbers { values, mean, scale, .. } = &self.numbers[index];
        for (filled, row) in filled.iter_mut().zip(&self.rows[start..]) {
            let value = values[*row];
            *filled = if value.is_nan() { 0.0 } else { (value - mean) / scale };
        }
    }

    /// The place of a row without a level, after the columns and the intercept.
    pub(crate) fn no_column(&self) -> usize {
        self.width + 1
    }

    /// Fills the columns that are 1 for one categorical feature and the rows from `start` on;
    /// [`Design::no_column`] where none is.
    pub(crate) fn fill_levels(&self, index: usize, start: usize, filled: &mut [usize]) {
        let Category { words, columns, .. } = &self.categories[index];
        for (filled, row) in filled.iter_mut().zip(&self.rows[start..]) {
            *filled = words.code(*row).map_or(self.no_column(), |code| columns[code]);
        }
    }

    /// The whole matrix, in column order, in which linfa reads it.
    pub(crate) fn matrix(&self) -> Array2<f64> {
        let mut matrix = Array2::zeros((self.rows.len(), self.width).f());
        let mut filled = vec![0.0; self.rows.len()];
        for (index, column) in self.number_columns().enumerate() {
            self.fill_numbers(index, 0, &mut filled);
            matrix.column_mut(column).iter_mut().zip(&filled).for_each(|(to, from)| *to = *from);
        }
        let mut levels = vec![0; self.rows.len()];
        for index in 0..self.categories.len() {
            self.fill_levels(index, 0, &mut levels);
            for (row, column) in
                levels.iter().enumerate().filter(|(_, column)| **column < self.width)
            {
                matrix[[row, *column]] = 1.0;
            }
        }
        matrix
    }
}
