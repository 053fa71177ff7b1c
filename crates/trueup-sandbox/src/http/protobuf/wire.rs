//! The wire format of protobuf: numbered fields of varints, fixed numbers and bytes.

/// Bytes that are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("unexpected end of message")]
    Truncated,
    #[error("a number is too long")]
    Overflow,
    #[error("wrong wire type")]
    WrongType,
}

/// A field's value as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    Number(u64),
    Eight(u64),
    Bytes(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Wire<'a>,
}

/// The fields of a message, in order, up to the first that is broken.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>, WireError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = field(&mut bytes);
        if field.is_err() {
            bytes = &[];
        }
        Some(field)
    })
}

/// Numbers one after the other.
pub(super) fn packed(mut bytes: &[u8]) -> Result<Vec<u64>, WireError> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(varint(&mut bytes)?);
    }
    Ok(numbers)
}

fn field<'a>(bytes: &mut &'a [u8]) -> Result<Field<'a>, WireError> {
    let tag = varint(bytes)?;
    let value = match tag & 7 {
        0 => Wire::Number(varint(bytes)?),
        1 => Wire::Eight(fixed(bytes, 8)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).map_err(|_| WireError::Overflow)?;
            Wire::Bytes(take(bytes, length)?)
        }
        5 => Wire::Number(fixed(bytes, 4)?),
        _ => return Err(WireError::WrongType),
    };
    Ok(Field { number: tag >> 3, value })
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], WireError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(WireError::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

fn fixed(bytes: &mut &[u8], length: usize) -> Result<u64, WireError> {
    let taken = take(bytes, length)?;
    Ok(taken.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(WireError::Truncated)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(WireError::Overflow)
}
