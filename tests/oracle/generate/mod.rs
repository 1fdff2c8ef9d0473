//! Random cases, each from one seed.

pub mod arrival;
pub mod checks;
pub mod history;
pub mod plan;

use super::case::Case;
use super::rng::Rng;

/// The case of a seed.
pub fn case(seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    let plan = plan::plan(&mut rng);
    history::history(&mut rng, plan)
}
