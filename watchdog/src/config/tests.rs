//! Settings: defaults, every form that is accepted, and what is refused with which words.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
    let pairs = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_environment(pairs).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_those_of_the_classic_watchdog() {
    let config = read(&[("fprocess", "wc -l")]).unwrap();
    assert_eq!(config.command, ["wc", "-l"]);
    assert_eq!(config.port, 8080);
    assert_eq!(config.read_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.write_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.exec_timeout, None);
    assert_eq!(config.max_inflight, None);
    assert_eq!(config.timeout_status, 504);
    assert_eq!(config.temp_dir, PathBuf::from("/tmp"));
    assert_eq!(config.driver, DriverChoice::Epoll);
    assert_eq!((config.is_handed_over, config.lifeline_fd), (false, None));
    let on = config.switches;
    assert!(on.combine_output && on.cgi_headers && on.prefix_logs);
    assert!(!on.marshal_request && !on.suppress_lock && !on.write_debug && !on.debug_headers);
}

#[test]
fn every_setting_is_read() {
    let config = read(&[
        ("function_process", "cat"),
        ("mode", "classic"),
        ("port", "9000"),
        ("read_timeout", "0"),
        ("write_timeout", "1m30s"),
        ("exec_timeout", "500ms"),
        ("healthcheck_interval", "5"),
        ("max_inflight", "4"),
        ("content_type", "text/plain; charset=utf-8"),
        ("combine_output", "false"),
        ("suppress_lock", "1"),
        ("TMPDIR", "/run"),
        ("RINGWAY_DRIVER", "auto"),
        ("RINGWAY_LIFELINE_FD", "4"),
        ("LISTEN_FDS", "1"),
        ("prefix_logs", ""),
    ])
    .unwrap();
    assert_eq!(config.command_line, "cat");
    assert_eq!(config.timeout_status, 408);
    assert_eq!(config.port, 9000);
    assert_eq!(config.read_timeout, None);
    assert_eq!(config.write_timeout, Some(Duration::from_secs(90)));
    assert_eq!(config.exec_timeout, Some(Duration::from_millis(500)));
    assert_eq!(config.max_inflight, Some(4));
    assert_eq!(
        config.content_type.as_deref(),
        Some("text/plain; charset=utf-8")
    );
    assert!(!config.switches.combine_output && config.switches.suppress_lock);
    assert!(
        config.switches.prefix_logs,
        "an empty value counts as not set"
    );
    assert_eq!(config.temp_dir, PathBuf::from("/run"));
    assert_eq!(config.driver, DriverChoice::Auto);
    assert_eq!((config.is_handed_over, config.lifeline_fd), (true, Some(4)));
}

#[test]
fn what_is_wrong_is_named_with_its_value_and_the_accepted_form() {
    let cases = [
        (
            "port",
            "0",
            "port: `0` cannot be used; give a port from 1 to 65535",
        ),
        (
            "port",
            "65536",
            "port: `65536` cannot be used; give a port from 1 to 65535",
        ),
        (
            "exec_timeout",
            "10 s",
            "exec_timeout: `10 s` cannot be used; give whole seconds such as 30, or a duration such as 1m30s or 500ms",
        ),
        (
            "healthcheck_interval",
            "x",
            "healthcheck_interval: `x` cannot be used; give whole seconds such as 30, or a duration such as 1m30s or 500ms",
        ),
        (
            "max_inflight",
            "-1",
            "max_inflight: `-1` cannot be used; give a number of calls, or 0 for no limit",
        ),
        (
            "write_debug",
            "yes",
            "write_debug: `yes` cannot be used; give true or false",
        ),
        (
            "content_type",
            "a\nb",
            "content_type: `a\nb` cannot be used; give a content type such as text/plain",
        ),
        (
            "mode",
            "static",
            "mode: `static` cannot be used; give fork, classic, http or worker (this version has no other mode)",
        ),
        (
            "RINGWAY_DRIVER",
            "kqueue",
            "RINGWAY_DRIVER: `kqueue` cannot be used; give epoll, ring, monoio-uring or auto",
        ),
        (
            "RINGWAY_LIFELINE_FD",
            "2",
            "RINGWAY_LIFELINE_FD: `2` cannot be used; give the number of an open descriptor above 2",
        ),
        (
            "fprocess",
            "echo 'a",
            "fprocess: the command line `echo 'a` has a quote that is not closed",
        ),
    ];
    for (name, value, want) in cases {
        let mut variables = vec![(name, value)];
        if name != "fprocess" {
            variables.push(("fprocess", "cat"));
        }
        assert_eq!(read(&variables).unwrap_err(), want);
    }
    let missing = read(&[("port", "1")]).unwrap_err();
    assert!(missing.starts_with("fprocess: it is not set"), "{missing}");
}

#[test]
fn sockets_meant_for_another_process_are_left_alone() {
    let own = std::process::id().to_string();
    let handed_over = |pid: &str| {
        read(&[
            ("fprocess", "cat"),
            ("LISTEN_FDS", "1"),
            ("LISTEN_PID", pid),
        ])
        .unwrap()
        .is_handed_over
    };
    assert!(handed_over(&own));
    assert!(!handed_over("1"));
}

#[test]
fn functions_do_not_see_how_the_watchdog_was_started() {
    let config = read(&[
        ("fprocess", "cat"),
        ("PATH", "/bin"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_FDNAMES", "x"),
        ("RINGWAY_DRIVER", "epoll"),
        ("RINGWAY_LIFELINE_FD", "4"),
        ("Http_Host", "forged"),
    ])
    .unwrap();
    let names: Vec<_> = config
        .environment
        .iter()
        .map(|(name, _)| name.to_str().unwrap())
        .collect();
    assert_eq!(names, ["fprocess", "PATH"]);
}

fn read_http(variables: &[(&str, &str)]) -> Result<Http, String> {
    let common = [("fprocess", "app"), ("mode", "http"), ("TMPDIR", "/run/f")];
    match read(&[&common, variables].concat())?.mode {
        Mode::Http(http) => Ok(*http),
        other => Err(format!("mode=http is {other:?}")),
    }
}

#[test]
fn http_mode_has_the_defaults_of_of_watchdog() {
    let http = read_http(&[]).unwrap();
    let address = Place::Address([127, 0, 0, 1].into(), 5000);
    assert_eq!(http.upstream.place, address);
    assert_eq!(http.start_timeout, Duration::from_secs(30));
    assert_eq!(http.tunnel_idle_timeout, Some(Duration::from_secs(600)));
    assert_eq!(http.buffer_bytes_max, None);
    let limits = |variables: &[(&str, &str)]| {
        let config = read(&[&[("fprocess", "app")], variables].concat()).unwrap();
        (config.exec_timeout, config.timeout_status)
    };
    let thirty = Some(Duration::from_secs(30));
    assert_eq!(limits(&[("mode", "http")]), (thirty, 504));
    assert_eq!(
        limits(&[("mode", "http"), ("exec_timeout", "0")]),
        (None, 504)
    );
}

#[test]
fn http_mode_reads_its_own_settings() {
    let http = read_http(&[
        ("upstream_url", "http://127.0.0.1:1"),
        ("http_upstream_url", "unix:s"),
        ("start_timeout", "1m"),
        ("tunnel_idle_timeout", "0"),
        ("http_buffer_req_body", "true"),
        ("http_buffer_bytes_max", "1000"),
    ])
    .unwrap();
    assert_eq!(http.upstream.place, Place::Unix("/run/f/s".into()));
    assert_eq!(http.start_timeout, Duration::from_secs(60));
    assert_eq!(http.tunnel_idle_timeout, None);
    assert_eq!(http.buffer_bytes_max, Some(1000));
    for (name, value, want) in [
        (
            "upstream_url",
            "https://h",
            "upstream_url: `https://h` cannot be used: the function's own server is spoken to without TLS",
        ),
        (
            "http_upstream_url",
            "5000",
            "http_upstream_url: `5000` cannot be used; give http://HOST:PORT or unix:PATH",
        ),
        ("start_timeout", "0", "start_timeout: `0` cannot be used; "),
        (
            "http_buffer_bytes_max",
            "0",
            "http_buffer_bytes_max: `0` cannot be used; give a number of bytes above 0",
        ),
    ] {
        let error = read_http(&[(name, value)]).unwrap_err();
        assert!(error.starts_with(want), "{error}");
    }
}
