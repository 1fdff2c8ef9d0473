//! Large arrays in a snapshot: as they stand in memory, copied at once.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An array that is written, or was read.
pub(super) struct Plain<C>(pub C);

impl<T: IntoBytes + Immutable> Serialize for Plain<&[T]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_bytes())
    }
}

impl<'de, T: FromBytes> Deserialize<'de> for Plain<Vec<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<T>(PhantomData<T>);

        impl<T: FromBytes> Visitor<'_> for Values<T> {
            type Value = Plain<Vec<T>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of an array")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                let values = bytes.chunks(size_of::<T>()).map(T::read_from_bytes).collect::<Result<_, _>>();
                values.map(Plain).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Values(PhantomData))
    }
}

/// For `#[serde(with = …)]`.
pub(super) fn serialize<T: IntoBytes + Immutable, S: Serializer>(
    values: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Plain(values).serialize(serializer)
}

/// For `#[serde(with = …)]`.
pub(super) fn deserialize<'de, T: FromBytes, C: From<Vec<T>>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<C, D::Error> {
    Plain::<Vec<T>>::deserialize(deserializer).map(|values| values.0.into())
}
