//! The command line against a real gateway: what it prints, and the code it ends with.

use std::{fs, io::Read};

use serde_json::Value;
use tests::{Builder, Cli, Driver, Gateway, eventually, under_each_driver};

under_each_driver! {
    a_function_lives_its_life_by_the_command_line
    a_stack_file_is_deployed_and_removed
    exit_codes_say_what_went_wrong
    logs_are_shown_and_followed
    up_deploys_samples_and_shows_a_line_that_works
}

fn a_function_lives_its_life_by_the_command_line(driver: Driver) {
    let gateway = Gateway::start(driver);
    let deploy = gateway
        .cli("deploy upper --env A=1 --label x=y --annotation n=m --fprocess")
        .arg("tr a-z A-Z");
    let deployed = deploy.run().ok();
    assert!(deployed.stdout.contains("upper"), "{deployed:?}");
    eventually("a replica is ready", || {
        (gateway.available("upper") == 1).then_some(())
    });
    assert_eq!(gateway.status("upper")["envVars"]["A"], "1");

    let answer = gateway.cli("invoke upper").run_with(b"hello").ok();
    assert_eq!(answer.stdout, "HELLO");

    let list = gateway.cli("list").run().ok().stdout;
    let row = list.lines().find(|line| line.starts_with("upper")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells, ["upper", "1", "1"], "{list}");
    assert_eq!(gateway.cli("list -q").run().ok().stdout, "upper\n");
    let json: Value = serde_json::from_str(&gateway.cli("list --json").run().ok().stdout).unwrap();
    assert_eq!(json[0]["name"], "upper");

    let described = gateway.cli("describe upper").run().ok().stdout;
    for part in ["tr a-z A-Z", "x=y", "n=m", "A=1", &gateway.url()] {
        assert!(described.contains(part), "{part} is not in: {described}");
    }
    gateway.cli("scale upper 3").run().ok();
    eventually("it is scaled", || {
        (gateway.available("upper") == 3).then_some(())
    });
    let version = gateway.cli("version").run().ok().stdout;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    gateway.cli("remove upper").run().ok();
    assert_eq!(gateway.call("upper", b"").status(), 404);
}

fn a_stack_file_is_deployed_and_removed(driver: Driver) {
    let builder = Builder::new(driver);
    let folder = builder.folder().to_owned();
    let gateway = builder.start();
    let stack = "\
version: 1.0
provider:
  name: openfaas
  gateway: http://127.0.0.1:1
functions:
  wc:
    lang: dockerfile
    fprocess: wc ${FLAG:--c}
    environment:
      GREETING: ${GREETING}
    labels:
      com.openfaas.scale.max: \"2\"
  cat:
    fprocess: cat
    limits:
      memory: 128Mi
";
    fs::write(folder.join("stack.yml"), stack).unwrap();
    let url = gateway.url();
    let run = |arguments: &str| {
        let cli = Cli::new(arguments).arg("--gateway").arg(&url);
        cli.env("GREETING", "hello you").dir(&folder).run()
    };
    run("deploy -f stack.yml").ok();
    eventually("both are ready", || {
        (gateway.available("wc") + gateway.available("cat") == 2).then_some(())
    });
    assert_eq!(gateway.call("wc", b"12345").text(), "5\n");
    assert_eq!(gateway.status("wc")["envVars"]["GREETING"], "hello you");
    assert_eq!(gateway.status("cat")["limits"]["memory"], "128Mi");
    run("remove -f stack.yml").ok();
    assert_eq!(gateway.cli("list -q").run().ok().stdout, "");

    fs::write(
        folder.join("stack.yml"),
        "functions:\n  wc:\n    labels: [1\n",
    )
    .unwrap();
    let broken = run("deploy -f stack.yml");
    assert_eq!(broken.code, 65, "{broken:?}");
    assert!(broken.stderr.contains("stack.yml"), "{broken:?}");
}

fn exit_codes_say_what_went_wrong(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("fails", "sh -c 'echo why; exit 1'");
    for (arguments, code, part) in [
        ("invoke nobody", 1, "nobody"),
        ("invoke fails", 1, "why"),
        ("describe nobody", 1, "nobody"),
        ("remove nobody", 1, "nobody"),
        ("scale nobody 1", 1, "nobody"),
        ("scale fails 1000", 1, "max"),
        ("logs nobody", 1, "nobody"),
        ("deploy x --fprocess no-such-program", 1, "no-such-program"),
        ("deploy ../x --fprocess cat", 64, "x"),
        ("frobnicate", 64, "frobnicate"),
        ("list --nonsense", 64, "nonsense"),
        ("deploy -f /no/such/stack.yml", 66, "/no/such/stack.yml"),
    ] {
        let finished = gateway.cli(arguments).run();
        assert_eq!(finished.code, code, "{arguments}: {finished:?}");
        assert!(finished.stderr.contains(part), "{arguments}: {finished:?}");
        assert_eq!(finished.stdout, "", "{arguments}");
    }
    let gone = Cli::new("list --gateway http://127.0.0.1:1").run();
    assert_eq!(gone.code, 69, "{gone:?}");
    assert!(gone.stderr.contains("127.0.0.1:1"), "{gone:?}");
    let shell = Cli::new("completion bash").run().ok();
    assert!(shell.stdout.contains("ringway"));
}

fn logs_are_shown_and_followed(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy_with(
        "speak",
        "sh -c 'cat >&2'",
        &serde_json::json!({ "envVars": { "combine_output": "false" } }),
    );
    gateway.call("speak", b"first words\n");
    eventually("the line is shown", || {
        let logs = gateway.cli("logs speak").run().ok().stdout;
        logs.contains("first words").then_some(())
    });
    let mut follower = gateway.cli("logs speak -f").start();
    gateway.call("speak", b"later words\n");
    let mut stdout = follower.stdout.take().unwrap();
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains("later words") {
        let length = stdout.read(&mut buffer).unwrap();
        assert!(length > 0, "the stream ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}

fn up_deploys_samples_and_shows_a_line_that_works(driver: Driver) {
    let gateway = Builder::new(driver).arg("--samples").start();
    for (function, body, expected) in [
        ("wc", "hello wide world", "      0       3      16\n"),
        ("cat", "hello", "hello"),
        ("sort", "b\na\n", "a\nb\n"),
        (
            "sha256sum",
            "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -\n",
        ),
    ] {
        eventually("the sample is ready", || {
            (gateway.available(function) == 1).then_some(())
        });
        assert_eq!(gateway.call(function, body.as_bytes()).text(), expected);
    }
    eventually("the sample is ready", || {
        (gateway.available("env") == 1).then_some(())
    });
    assert!(gateway.call("env", b"").text().contains("PATH="));
}
