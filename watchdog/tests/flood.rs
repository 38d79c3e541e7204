//! Clients that connect faster than they are accepted. Alone in this binary: the flood takes all the
//! time of the machine, which tests with time limits of their own would feel.

mod support;

use std::os::unix::net::UnixStream;

use process::{Exit, Signal};
use support::{Watchdog, on_each_driver};

#[test]
fn clients_that_keep_coming_keep_it_neither_from_serving_nor_from_ending() {
    on_each_driver(|driver| {
        // Steps: four clients connect again and again; a call is answered all the same; SIGTERM; it
        // ends although they go on. They stop when the test's own copy of the socket is closed.
        let mut watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let socket = watchdog.dir().join("socket");
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let socket = socket.clone();
                std::thread::spawn(move || while UnixStream::connect(&socket).is_ok() {})
            })
            .collect();
        assert_eq!(watchdog.post("served").text(), "served");
        watchdog.child.signal(Signal::TERM).unwrap();
        assert_eq!(watchdog.wait(), Exit::Code(0));
        drop(watchdog);
        for client in clients {
            client.join().unwrap();
        }
    });
}
