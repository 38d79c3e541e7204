//! Amounts of memory and CPU as people write them.
//!
//! The forms are those of Kubernetes quantities, which OpenFaaS stack files use, and for memory the
//! lower-case `m` and `g` of Docker, which users of OpenFaaS on Swarm write. (`m` for memory would
//! be thousandths of a byte in Kubernetes, which nobody means.) What is unclear is refused.

/// More decimal digits than any sensible amount has; also keeps the arithmetic below from
/// overflowing: 10^18 × 2^40 < 2^128.
const DIGITS_MAX: usize = 18;
/// The kernel's own ceiling for a memory limit is a signed number of bytes.
const MEMORY_BYTES_MAX: u128 = i64::MAX as u128;
/// A thousand CPUs: anything above is a slip of the unit.
const CPU_MILLICORES_MAX: u128 = 1_000_000;

/// An amount that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount of {what}: {why}; write {forms}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
    why: &'static str,
    forms: &'static str,
}

/// Reads an amount of memory in bytes: `134217728`, `128Mi`, `1.5Gi`, `64M`, `100k`, `128m`.
/// `Ki Mi Gi Ti` are powers of 1024; `k M G T` are powers of 1000; `m g` are MiB and GiB. A part of
/// a byte is rounded up.
///
/// # Errors
/// [`QuantityError`] names the text and the accepted forms; 0 is refused.
pub fn parse_memory(text: &str) -> Result<u64, QuantityError> {
    let error = |why| QuantityError {
        text: text.to_owned(),
        what: "memory",
        why,
        forms: "bytes, or a number with Ki, Mi, Gi, Ti (powers of 1024), k, M, G, T (powers of 1000) or m, g (MiB, GiB), such as `128Mi`",
    };
    let (number, unit) = split_unit(text);
    let unit: u128 = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" | "m" => 1 << 20,
        "Gi" | "g" => 1 << 30,
        "Ti" => 1 << 40,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => return Err(error("its unit is not known")),
    };
    let (digits, scale) = parse_decimal(number).map_err(error)?;
    let bytes = (digits * unit).div_ceil(scale);
    match u64::try_from(bytes) {
        Ok(0) => Err(error("it must be more than 0 (leave it out for no limit)")),
        Ok(small) if bytes <= MEMORY_BYTES_MAX => Ok(small),
        _ => Err(error("it is too large")),
    }
}

/// Reads an amount of CPU in thousandths of one CPU: `100m` is 100, `0.5` is 500, `2` is 2000.
///
/// # Errors
/// [`QuantityError`] names the text and the accepted forms; 0 is refused.
pub fn parse_cpu(text: &str) -> Result<u64, QuantityError> {
    let error = |why| QuantityError {
        text: text.to_owned(),
        what: "CPU",
        why,
        forms: "thousandths of a CPU as `100m`, or CPUs as `0.5` or `2`",
    };
    let (number, unit) = split_unit(text);
    let unit = match unit {
        "" => 1000,
        "m" => 1,
        _ => return Err(error("its unit is not known")),
    };
    let (digits, scale) = parse_decimal(number).map_err(error)?;
    if !(digits * unit).is_multiple_of(scale) {
        return Err(error("it is finer than a thousandth of a CPU"));
    }
    match u64::try_from(digits * unit / scale) {
        Ok(0) => Err(error("it must be more than 0 (leave it out for no limit)")),
        Ok(millicores) if u128::from(millicores) <= CPU_MILLICORES_MAX => Ok(millicores),
        _ => Err(error("it is more than 1000 CPUs")),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let unit = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    text.split_at(unit)
}

/// `12.50` as (1250, 100).
fn parse_decimal(number: &str) -> Result<(u128, u128), &'static str> {
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err("a digit is missing after the point"),
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() {
        return Err("it does not begin with a digit");
    }
    if whole.len() + fraction.len() > DIGITS_MAX {
        return Err("it has too many digits");
    }
    let mut digits: u128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err("it is not a plain decimal number");
        }
        digits = digits * 10 + u128::from(byte - b'0');
    }
    let scale = fraction.bytes().fold(1, |scale, _| scale * 10);
    Ok((digits, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_amounts_of_memory() {
        let cases = [
            ("1", 1),
            ("134217728", 134_217_728),
            ("1Ki", 1024),
            ("128Mi", 128 << 20),
            ("128m", 128 << 20),
            ("50m", 50 << 20),
            ("2g", 2 << 30),
            ("1Gi", 1 << 30),
            ("1.5Gi", 3 << 29),
            ("0.5Mi", 512 << 10),
            ("2Ti", 2 << 40),
            ("100k", 100_000),
            ("64M", 64_000_000),
            ("1G", 1_000_000_000),
            ("1T", 1_000_000_000_000),
            ("0.1Ki", 103),
            ("007Ki", 7 << 10),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_memory(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn reads_amounts_of_cpu() {
        let cases = [
            ("100m", 100),
            ("1m", 1),
            ("1500m", 1500),
            ("0.5", 500),
            ("0.25", 250),
            ("0.001", 1),
            ("2", 2000),
            ("2.0", 2000),
            ("1.50", 1500),
            ("1000", 1_000_000),
        ];
        for (text, millicores) in cases {
            assert_eq!(parse_cpu(text), Ok(millicores), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let memory = [
            "",
            "Mi",
            "-1",
            "+1",
            "1 Mi",
            " 1Mi",
            "1Mi ",
            "1MI",
            "1mi",
            "1MB",
            "1K",
            "1Pi",
            "1e9",
            "0x10",
            ".5Gi",
            "5.Gi",
            "1.2.3Gi",
            "1,5Gi",
            "1_000",
            "0",
            "0Mi",
            "0.0",
            "٣Mi",
            "9223372036854775808",
            "8388608Ti",
            "1234567890123456789",
            "128Mi128",
        ];
        for text in memory {
            let error = parse_memory(text).expect_err(text);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{text}` is not an amount of memory"))
            );
        }
        let cpu = [
            "", "m", "-1", "+0.5", "1M", "1k", "0.0001", "0.5m", "0", "0m", ".5", "5.", "1001",
            "1c", "1e3",
        ];
        for text in cpu {
            assert!(parse_cpu(text).is_err(), "{text}");
        }
    }
}
