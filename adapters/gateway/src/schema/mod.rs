//! What payloads mean: a built-in registry from schema id to a decoder.
//!
//! A payload that its decoder refuses, or whose schema nobody here knows, is stored raw, without
//! JSON: never lost, never guessed.

mod decimal;
mod occupancy;

use whimbrel_core::SchemaId;

pub use decimal::Decimal;

/// From a payload to one JSON object; `None` when the payload is not what the schema says.
type Decoder = fn(&[u8]) -> Option<String>;

const BUILT_IN: &[(SchemaId, Decoder)] = &[(occupancy::SCHEMA, occupancy::decode)];

/// The payload as a JSON object. `None` when the schema is unknown, the payload does not fit it, or
/// bytes are left over.
pub fn decode(schema: SchemaId, payload: &[u8]) -> Option<String> {
    let (_, decode) = BUILT_IN.iter().find(|(id, _)| *id == schema)?;
    decode(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_schema_has_no_json() {
        assert_eq!(decode(SchemaId::named("nobody/1"), &[0; 8]), None);
    }
}
