//! Kinds of models, each implementing [`Model`](super::Model).
//!
//! - [`logistic`] and [`multinomial`]: the models that `serin train` makes, of two and of more classes.
//! - [`imported`]: models that other libraries trained. Their files are read by [`lightgbm`], [`xgboost`] and
//!   [`skops`] (scikit-learn), and become a [`parsed`] model: [`columns`] in front of an [`ensemble`] of trees or a
//!   [`linear`] model.
//! - [`onnx`]: files that ONNX Runtime runs, a library found on the machine.
//! - [`features`]: the inputs of such a file; [`refusal`] and [`limits`]: why a file is refused.
//!
//! A file is data, never code. Readers never panic, and allocate in proportion to the file, whatever lengths it
//! declares.

pub mod logistic;

pub mod multinomial;

pub mod refusal;

pub mod limits;

pub mod features;

pub mod ensemble;

pub mod columns;

pub mod linear;

pub mod parsed;

pub mod lightgbm;

pub mod xgboost;

pub mod skops;

pub mod onnx;

pub mod imported;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod mutation_tests;
