//! Placeholder.
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Filter(std::collections::BTreeSet<u64>);
impl Filter {
    pub fn insert(&mut self, hash: u64) {
        self.0.insert(hash);
    }
    pub fn contains(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }
}
