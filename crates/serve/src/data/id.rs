//! Identifiers and secrets from the system's random numbers.

use crate::data::error::Error;

/// `BYTES` random bytes in lower-case hexadecimal.
pub fn random_hex<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(hex(&bytes))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new identifier: what it names, an underscore, and 96 random bits after
/// the time, so that identifiers of one kind sort by age.
pub(super) fn new_id(kind: &str, at: i64) -> Result<String, Error> {
    let at = u64::try_from(at).unwrap_or(0);
    Ok(format!("{kind}_{at:012x}{}", random_hex::<12>()?))
}
