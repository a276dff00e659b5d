//! Plain numbers on their way between workers, in this process or another.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Plain numbers that cross the wire as one block of bytes: element by element they would take ten times as long.
/// Processes of one job have the same byte order: they agree on it before they begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbers<T>(pub(crate) Vec<T>);

impl<T: FromBytes + IntoBytes + Immutable> Numbers<T> {
    /// The numbers whose bytes these are; `None` when they are not whole numbers. Bytes may lie anywhere.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Numbers<T>> {
        // Not into zeroed memory: the allocator would take fresh pages from the system for it.
        let number = |bytes| T::read_from_bytes(bytes).expect("a chunk has its size");
        let whole = bytes.len().is_multiple_of(size_of::<T>());
        whole.then(|| Numbers(bytes.chunks_exact(size_of::<T>()).map(number).collect()))
    }
}

impl<T: IntoBytes + Immutable> Serialize for Numbers<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_slice().as_bytes())
    }
}

impl<'de, T: FromBytes + IntoBytes + Immutable + Clone> Deserialize<'de> for Numbers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<T>(std::marker::PhantomData<T>);

        impl<T: FromBytes + IntoBytes + Immutable + Clone> Visitor<'_> for Bytes<T> {
            type Value = Numbers<T>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "whole numbers of {} bytes", size_of::<T>())
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Numbers<T>, E> {
                Numbers::from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_cross_the_wire_as_they_are() {
        // As timely does it, with the format that it brings; another one here must do the same.
        let numbers = Numbers(vec![1u64, u64::MAX, 7]);
        let text = serde_json::to_string(&serde_json::Value::from(numbers.0.as_slice().as_bytes().to_vec())).unwrap();
        let bytes: Vec<u8> = serde_json::from_str(&text).unwrap();
        let deserializer = serde::de::value::BytesDeserializer::<serde::de::value::Error>::new(&bytes);
        assert_eq!(Numbers::<u64>::deserialize(deserializer).unwrap(), numbers);
        let deserializer = serde::de::value::BytesDeserializer::<serde::de::value::Error>::new(&bytes[1..]);
        assert!(Numbers::<u64>::deserialize(deserializer).is_err());
    }
}
