//! Heads of answers, read the plain way.

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// `HTTP/1.1`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// Names and values in order, as they came.
    pub headers: Vec<(String, String)>,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

/// Where the first head in `bytes` ends, its empty line included.
#[must_use]
pub fn find_head_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

impl Head {
    /// Reads a whole head.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut lines = text.split_terminator("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|word| word.parse().ok());
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        Self {
            version,
            status: status.unwrap_or_else(|| panic!("no status line: {first:?}")),
            headers: lines.filter(|line| !line.is_empty()).map(field).collect(),
        }
    }

    /// The value of a header that may come once.
    ///
    /// # Panics
    /// When it comes twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    /// RFC 9112, 6.3.
    pub(super) fn body_kind(&self, method: &str) -> BodyKind {
        if method == "HEAD" || self.status < 200 || matches!(self.status, 204 | 304) {
            return BodyKind::None;
        }
        if let Some(coding) = self.header("transfer-encoding") {
            assert_eq!(coding, "chunked");
            assert_eq!(self.header("content-length"), None, "two ways to end");
            return BodyKind::Chunked;
        }
        match self.header("content-length") {
            Some(length) => BodyKind::Length(length.parse().unwrap()),
            None => BodyKind::UntilClose,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body, without the framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text; what is no text becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.text()))
    }
}
