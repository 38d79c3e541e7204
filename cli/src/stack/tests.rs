//! Stack files that must be read, and those that must be refused with a place.

use super::*;
use crate::function::Resources;

fn read(text: &str) -> Result<Stack, Failure> {
    parse(
        text,
        |name| (name == "TAG").then(|| "v2".to_owned()),
        |path| match path {
            "env.yml" => Ok("environment:\n  B: from-file\n  C: ${TAG}\n".to_owned()),
            "bad.yml" => Ok("environment: 5\n".to_owned()),
            _ => Err(Failure::new(Exit::NoInput, format!("cannot open {path}"))),
        },
    )
}

/// Every key of the schema.
const FULL: &str = r#"
version: 1.0
provider:
  name: openfaas
  gateway: http://gw:8080
functions:
  upper:
    lang: dockerfile
    handler: ./upper
    image: example/upper:${TAG}
    fprocess: tr a-z A-Z
    environment:
      A: 1
      B: inline
      write_debug: true
      EMPTY:
    environment_file:
      - env.yml
    secrets: [token]
    skip_build: true
    constraints:
      - "node.role == worker"
    labels:
      com.openfaas.scale.zero: true
      com.openfaas.scale.max: 5
    annotations:
      topic: a.b
    limits:
      memory: 128Mi
      cpu: 0.5
    requests:
      cpu: 100m
    readonly_root_filesystem: true
    build_args: {X: y}
    platforms: linux/amd64
    namespace: staging
  lower:
    fprocess: ${LOWER:-tr A-Z a-z}
configuration:
  templates:
    - name: x
"#;

#[test]
fn a_full_file_becomes_deployments() {
    let stack = read(FULL).unwrap();
    assert_eq!(stack.warnings, Vec::<String>::new());
    assert_eq!(stack.gateway.as_deref(), Some("http://gw:8080"));
    let map = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    assert_eq!(
        stack.functions,
        [
            Deployment {
                service: "lower".into(),
                env_process: "tr A-Z a-z".into(),
                ..Deployment::default()
            },
            Deployment {
                service: "upper".into(),
                image: "example/upper:v2".into(),
                namespace: Some("staging".into()),
                env_process: "tr a-z A-Z".into(),
                env_vars: map(&[
                    ("A", "1"),
                    ("B", "from-file"),
                    ("C", "v2"),
                    ("EMPTY", ""),
                    ("write_debug", "true")
                ]),
                constraints: vec!["node.role == worker".into()],
                secrets: vec!["token".into()],
                labels: map(&[
                    ("com.openfaas.scale.max", "5"),
                    ("com.openfaas.scale.zero", "true")
                ]),
                annotations: map(&[("topic", "a.b")]),
                limits: Some(Resources {
                    memory: "128Mi".into(),
                    cpu: "0.5".into()
                }),
                requests: Some(Resources {
                    memory: String::new(),
                    cpu: "100m".into()
                }),
                read_only_root_filesystem: true,
            },
        ]
    );
}

#[test]
fn unknown_keys_and_unset_variables_are_warnings() {
    let stack = read("functions:\n  wc:\n    fproces: wc\n    limits: {disk: 5}\n    image: a${NOPE}\nextra: 1\n").unwrap();
    assert_eq!(
        stack.warnings,
        [
            "key `functions.wc.fproces` is not known and is ignored",
            "key `functions.wc.limits.disk` is not known and is ignored",
            "key `extra` is not known and is ignored",
            "line 5, column 13: ${NOPE} is not set and counts as empty",
        ]
    );
}

#[test]
fn an_empty_file_has_no_functions() {
    for text in ["", "# nothing\n", "functions:\n", "version: 1.0\n"] {
        let stack = read(text).unwrap();
        assert!(stack.functions.is_empty(), "{text}");
        assert_eq!(stack.warnings, ["no functions"], "{text}");
    }
}

#[test]
fn errors_name_line_and_column() {
    for (text, line) in [
        ("functions:\n  wc: [1]\n", 2),
        ("functions:\n  wc:\n    secrets: token\n", 3),
        ("functions:\n  wc:\n    fprocess: {a: b}\n", 3),
        ("functions:\n  wc:\n    fprocess: a\n    fprocess: b\n", 4),
        ("functions:\n  wc:\n    image: a\n  wc:\n    image: b\n", 4),
        ("functions:\n  wc:\n   image: \"a\n", 3),
        ("functions:\n\twc: 1\n", 2),
        (
            "functions:\n  wc:\n    readonly_root_filesystem: perhaps\n",
            3,
        ),
        ("functions:\n  wc:\n    image: ${A:=b}\n", 3),
    ] {
        let failure = read(text).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data, "{text}");
        assert!(
            failure.to_string().contains(&format!("line {line}")),
            "{text}: {failure}"
        );
        assert!(failure.to_string().contains("column"), "{text}: {failure}");
    }
}

#[test]
fn errors_name_the_key_in_words_for_people() {
    let failure = read("functions:\n  wc:\n    secrets: token\n")
        .unwrap_err()
        .to_string();
    assert!(failure.starts_with("functions.wc.secrets: "), "{failure}");
    let twice = read("functions:\n  wc:\n    fprocess: a\n    fprocess: b\n").unwrap_err();
    assert!(!twice.to_string().contains("Options"), "{twice}");
}

#[test]
fn names_are_checked() {
    let failure = read("functions:\n  a/b:\n    image: x\n").unwrap_err();
    assert!(
        failure.to_string().contains("`a/b` is not a name"),
        "{failure}"
    );
}

#[test]
fn environment_files_fail_with_the_function_and_the_file() {
    let bad = read("functions:\n  wc:\n    environment_file: [bad.yml]\n").unwrap_err();
    assert_eq!(bad.exit(), Exit::Data);
    assert!(
        bad.to_string()
            .contains("functions.wc.environment_file: bad.yml: "),
        "{bad}"
    );
    let missing = read("functions:\n  wc:\n    environment_file: [nope.yml]\n").unwrap_err();
    assert_eq!(missing.exit(), Exit::NoInput);
}
