//! Kinds of models: one file per kind, each implementing [`Model`](super::Model).

pub mod logistic;
