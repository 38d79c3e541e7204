//! Where the metrics are.

use super::{ConfigError, RawConfig};

/// of-watchdog's.
const PORT_DEFAULT: u16 = 8081;

/// The port of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetricsPort {
    pub(crate) number: u16,
    /// It was not asked for: where it is taken, there are no metrics.
    pub(crate) is_default: bool,
}

/// The port of the metrics; none if they are off.
///
/// Where the function's socket is handed over there is no default: whoever does that may start many
/// on one machine, as the local provider does, and all but one would fail. Nor is there one where
/// it is taken by the function: a default gives way to what was asked for.
pub(super) fn port(
    raw: &RawConfig,
    function_port: u16,
    is_handed_over: bool,
) -> Result<Option<MetricsPort>, ConfigError> {
    let name = "metrics_port";
    let default = match is_handed_over || function_port == PORT_DEFAULT {
        true => 0,
        false => PORT_DEFAULT,
    };
    let port = raw.parsed(
        name,
        default,
        |text| text.parse().ok(),
        "a port from 1 to 65535, or 0 for no metrics",
    )?;
    if port == function_port && !is_handed_over {
        return Err(ConfigError {
            name,
            problem: format!(
                "`{port}` is the function's own port; set metrics_port to another, or to 0 for no metrics"
            ),
        });
    }
    let is_default = raw.get(name).is_none();
    Ok(Some(MetricsPort {
        number: port,
        is_default,
    })
    .filter(|port| port.number > 0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    fn port(variables: &[(&str, &str)]) -> Result<Option<u16>, String> {
        let config = read(&[&[("fprocess", "cat")], variables].concat());
        config.map(|config| config.metrics_port.map(|port| port.number))
    }

    #[test]
    fn metrics_are_at_8081_unless_that_would_be_in_the_way() {
        assert_eq!(port(&[]), Ok(Some(8081)));
        assert_eq!(port(&[("metrics_port", "0")]), Ok(None));
        assert_eq!(port(&[("metrics_port", "9100")]), Ok(Some(9100)));
        assert_eq!(port(&[("port", "8081")]), Ok(None));
        let handed_over = ("LISTEN_FDS", "1");
        assert_eq!(port(&[handed_over]), Ok(None));
        // `port` is not used then.
        let both = [handed_over, ("metrics_port", "8080")];
        assert_eq!(port(&both), Ok(Some(8080)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (variables, want) in [
            (
                [("metrics_port", "65536"), ("port", "80")],
                "metrics_port: `65536` cannot be used; give a port from 1 to 65535, or 0 for no metrics",
            ),
            (
                [("metrics_port", "80"), ("port", "80")],
                "metrics_port: `80` is the function's own port; set metrics_port to another, or to 0 for no metrics",
            ),
        ] {
            assert_eq!(port(&variables), Err(want.to_owned()));
        }
    }
}
