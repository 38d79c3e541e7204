//! Reads the text form of Prometheus' metrics, as strictly as a scraper would.

use std::collections::BTreeMap;

/// One line: a name, its labels, a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With `_bucket`, `_sum` or `_count` where it has one.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A whole scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Kind by family, from the `# TYPE` lines.
    pub kinds: BTreeMap<String, String>,
    /// All lines in order.
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Reads a scrape.
    ///
    /// # Panics
    /// On anything that is not the text format, version 0.0.4.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let before = scrape.kinds.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} is typed twice");
            } else if !line.starts_with('#') {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// The sum of all samples of `name` that have all of `labels`.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// How many series of `name` there are with all of `labels`.
    #[must_use]
    pub fn series(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.matching(name, labels).count()
    }

    fn matching<'s>(
        &'s self,
        name: &str,
        labels: &[(&str, &str)],
    ) -> impl Iterator<Item = &'s Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
        None => (series, ""),
    };
    let value = match value {
        "+Inf" => f64::INFINITY,
        number => number.parse().unwrap(),
    };
    Sample {
        name: name.to_owned(),
        // Values in these tests hold no comma and no quote.
        labels: labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect(),
        value,
    }
}

#[test]
fn a_scrape_is_read_by_family_and_label() {
    let text = "# HELP a_total Help.\n# TYPE a_total counter\na_total{code=\"200\",f=\"wc\"} 3\n\
                a_total{code=\"404\",f=\"wc\"} 1\nb 0.5\n";
    let scrape = Scrape::read(text);
    assert_eq!(scrape.kinds["a_total"], "counter");
    assert_eq!(scrape.sum("a_total", &[("f", "wc")]), 4.0);
    assert_eq!(scrape.series("a_total", &[("code", "404")]), 1);
    assert_eq!(scrape.sum("b", &[]), 0.5);
}
