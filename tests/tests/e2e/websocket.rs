//! WebSocket through the gateway, with a client and a server that others have written (tungstenite).

use std::{
    net::TcpStream,
    sync::{Mutex, mpsc},
};

use tests::{Driver, Gateway, Upstream, eventually, under_each_driver};
use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::forwarding::serving;

under_each_driver! {
    messages_of_every_kind_and_size_go_both_ways
    a_client_may_end_the_conversation
    a_function_may_end_the_conversation
    a_client_that_vanishes_is_noticed_by_the_function
    a_conversation_is_a_request_in_flight
    a_refusal_reaches_the_client_as_it_is
}

/// Answers each message with itself; `bye` with a close.
fn echoing() -> Upstream {
    Upstream::start(|peer| {
        let Ok(mut socket) = tungstenite::accept(peer) else {
            return;
        };
        while let Ok(message) = socket.read() {
            let sent = match message {
                Message::Text(text) if text.as_str() == "bye" => {
                    socket.close(Some(parting("enough")))
                }
                Message::Text(_) | Message::Binary(_) => socket.send(message),
                // Pings and a close are answered by the library.
                _ => Ok(()),
            };
            if sent.is_err() {
                return;
            }
        }
    })
}

fn parting(reason: &'static str) -> CloseFrame {
    CloseFrame {
        code: CloseCode::Away,
        reason: reason.into(),
    }
}

fn open(gateway: &Gateway) -> WebSocket<TcpStream> {
    let (socket, answer) = try_open(gateway).unwrap();
    assert_eq!(answer.status(), 101);
    assert!(answer.headers().contains_key("sec-websocket-accept"));
    socket
}

type Opened = (
    WebSocket<TcpStream>,
    tungstenite::handshake::client::Response,
);

fn try_open(gateway: &Gateway) -> Result<Opened, Error> {
    let stream = TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(tests::DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://{}/function/f/chat?room=1", gateway.address());
    tungstenite::client(url, stream).map_err(|error| match error {
        HandshakeError::Failure(error) => error,
        HandshakeError::Interrupted(_) => panic!("the stream blocks"),
    })
}

fn messages_of_every_kind_and_size_go_both_ways(driver: Driver) {
    let upstream = echoing();
    let gateway = serving(driver, &upstream);
    let mut socket = open(&gateway);
    for length in [0, 1, 125, 126, 65_535, 65_536, 8 * 1024 * 1024] {
        let text = Message::text("\u{e4}".repeat(length / 2));
        let binary = Message::binary((0..=255).cycle().take(length).collect::<Vec<u8>>());
        for message in [text, binary] {
            socket.send(message.clone()).unwrap();
            let echoed = socket.read().unwrap();
            assert!(echoed == message, "{length} bytes came back otherwise");
        }
    }
    socket.send(Message::Ping("are you there".into())).unwrap();
    let pong = Message::Pong("are you there".into());
    assert_eq!(socket.read().unwrap(), pong);
    // Many at once, answered in order.
    for number in 0..500 {
        socket.write(Message::text(number.to_string())).unwrap();
    }
    socket.flush().unwrap();
    for number in 0..500 {
        assert_eq!(socket.read().unwrap(), Message::text(number.to_string()));
    }
}

/// Reads until the connection has ended in good order, and gives what the other side said last.
fn until_closed(socket: &mut WebSocket<TcpStream>) -> Option<CloseFrame> {
    let mut last = None;
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => last = frame,
            Ok(other) => panic!("after the end: {other}"),
            Err(Error::ConnectionClosed) => return last,
            Err(error) => panic!("{error}"),
        }
    }
}

fn a_client_may_end_the_conversation(driver: Driver) {
    let upstream = echoing();
    let gateway = serving(driver, &upstream);
    let mut socket = open(&gateway);
    socket.close(Some(parting("home"))).unwrap();
    assert_eq!(until_closed(&mut socket), Some(parting("home")));
    upstream.until_closed(1);
}

fn a_function_may_end_the_conversation(driver: Driver) {
    let upstream = echoing();
    let gateway = serving(driver, &upstream);
    let mut socket = open(&gateway);
    socket.send(Message::text("bye")).unwrap();
    assert_eq!(until_closed(&mut socket), Some(parting("enough")));
    upstream.until_closed(1);
}

fn a_client_that_vanishes_is_noticed_by_the_function(driver: Driver) {
    let upstream = echoing();
    let gateway = serving(driver, &upstream);
    let mut socket = open(&gateway);
    socket.send(Message::text("x")).unwrap();
    drop(socket);
    upstream.until_closed(1);
    assert_eq!(in_flight(&gateway.settled_metrics()), 1.0);
}

fn in_flight(scrape: &tests::metrics::Scrape) -> f64 {
    scrape.sum("gateway_requests_in_flight", &[])
}

fn a_conversation_is_a_request_in_flight(driver: Driver) {
    let upstream = echoing();
    let gateway = serving(driver, &upstream);
    let mut sockets: Vec<_> = (0..3).map(|_| open(&gateway)).collect();
    // The scrape itself is the fourth.
    assert_eq!(in_flight(&gateway.metrics()), 4.0);
    for socket in &mut sockets {
        socket.close(None).unwrap();
        until_closed(socket);
    }
    drop(sockets);
    eventually("the conversations are counted as over", || {
        (in_flight(&gateway.metrics()) == 1.0).then_some(())
    });
    let labels = [("function_name", "f"), ("code", "101")];
    let over = gateway
        .metrics()
        .sum("gateway_function_invocation_total", &labels);
    assert_eq!(over, 3.0);
}

fn a_refusal_reaches_the_client_as_it_is(driver: Driver) {
    let (answers, told) = mpsc::channel::<&'static str>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |peer| {
        while peer.request().is_some() {
            let answer = told.lock().unwrap().recv().unwrap();
            peer.send(answer);
        }
    });
    let gateway = serving(driver, &upstream);
    for (answer, status) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhtml", 200),
        (
            "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nContent-Length: 4\r\n\r\nhtml",
            426,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nhtml",
            403,
        ),
    ] {
        answers.send(answer).unwrap();
        let Err(Error::Http(refusal)) = try_open(&gateway) else {
            panic!("{status}: it was not refused");
        };
        assert_eq!(refusal.status(), status);
        assert_eq!(refusal.body().as_deref(), Some(b"html".as_slice()));
        assert_eq!(upstream.last().header("upgrade"), Some("websocket"));
    }
    assert_eq!(in_flight(&gateway.settled_metrics()), 1.0);
}
