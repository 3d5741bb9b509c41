//! Plots as SVG.

mod chart;
mod svg;

pub use chart::{Chart, Series};
pub use svg::draw;
