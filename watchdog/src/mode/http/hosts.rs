//! Names of this machine: `localhost`, and what /etc/hosts has, hosts(5).
//!
//! The function's own server is on this machine or in this container, whose own name a container
//! engine writes into that file.
//!
//! What it does not do: ask name servers. The C library's resolver would be a sixth of the whole
//! watchdog, in its memory as well, for an address that can be given as such.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HOSTS: &str = "/etc/hosts";

/// The addresses of `name`, in order.
///
/// # Errors
/// `NotFound` if it has none, or what reading the file reports.
pub(super) fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    // RFC 6761 §6.3. Which of the two a server means by it differs, so both are tried.
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let found = in_text(&std::fs::read_to_string(HOSTS)?, name);
    match found.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("{HOSTS} does not have it"),
        )),
        false => Ok(found),
    }
}

/// The addresses of the lines with `name`. Lines that are not understood are skipped, as the C
/// library does.
fn in_text(text: &str, name: &str) -> Vec<IpAddr> {
    let address_of = |line: &str| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|word| word.eq_ignore_ascii_case(name))
            .then_some(address)
    };
    text.lines().filter_map(address_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_addresses_of_all_its_lines_in_order() {
        let text = "127.0.0.1 localhost\n# 10.0.0.1 f\n::1\tlocalhost ip6-localhost\n\
                    10.0.0.9   Fn.example f # 10.0.0.1 g\nbad f\n10.0.0.10 f\n10.0.0.11\n";
        let found = |name| -> Vec<String> {
            let all = in_text(text, name);
            all.iter().map(ToString::to_string).collect()
        };
        assert_eq!(found("f"), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(found("fn.EXAMPLE"), ["10.0.0.9"]);
        assert_eq!(found("localhost"), ["127.0.0.1", "::1"]);
        assert!(found("g").is_empty() && found("10.0.0.11").is_empty());
    }

    #[test]
    fn localhost_is_both_loopback_addresses_and_other_names_must_be_written_down() {
        let both = look_up("LocalHost").unwrap();
        assert_eq!(
            both,
            ["127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        let error = look_up("no-such-name.invalid").unwrap_err();
        assert_eq!(error.to_string(), "/etc/hosts does not have it");
    }
}
