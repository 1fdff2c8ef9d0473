//! Numbered places that are given out, given back, and used again.

use super::plain::Plain;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Values under small numbers; a number that was given back is given out again, last first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

/// For `#[serde(with = …)]`: values that are written as they stand in memory.
pub(super) mod plain {
    use super::*;

    pub fn serialize<T: IntoBytes + Immutable, S: Serializer>(
        slab: &Slab<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (Plain(&slab.places[..]), Plain(&slab.free[..])).serialize(serializer)
    }

    pub fn deserialize<'de, T: FromBytes, D: Deserializer<'de>>(deserializer: D) -> Result<Slab<T>, D::Error> {
        let (Plain(places), Plain(free)) = Deserialize::deserialize(deserializer)?;
        Ok(Slab { places, free })
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    /// Puts a value somewhere and tells where.
    pub fn add(&mut self, value: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.places[index as usize] = value;
            return index;
        }
        self.places.push(value);
        (self.places.len() - 1) as u32
    }

    /// The places that are given out next, as far as they were used before.
    pub fn next_free(&self, count: usize) -> impl Iterator<Item = &T> {
        self.free.iter().rev().take(count).map(|index| &self.places[*index as usize])
    }

    /// Takes a value out; its number may be given out again.
    pub fn take(&mut self, index: u32) -> T {
        self.free.push(index);
        std::mem::take(&mut self.places[index as usize])
    }

    pub fn get(&self, index: u32) -> &T {
        &self.places[index as usize]
    }

    /// The value with a number that may never have been given out.
    pub fn try_get(&self, index: u32) -> Option<&T> {
        self.places.get(index as usize)
    }

    pub fn get_mut(&mut self, index: u32) -> &mut T {
        &mut self.places[index as usize]
    }

    /// All places, those that were given back included.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().map(|(index, value)| (index as u32, value))
    }

    /// How many are in use.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
