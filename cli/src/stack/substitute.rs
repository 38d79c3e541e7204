//! `${VAR}` and `${VAR:-default}` in the text of a stack file, before it is read as YAML.
//!
//! Substitution is textual, as in OpenFaaS's own tools, so that a variable may stand anywhere, also
//! for a key. Only `${` has a meaning: a `$` alone is left for the function's shell, and `$${`
//! writes a `${`. Lines that are comments are left alone. The environment is the caller's: a test
//! brings its own.

/// The text with every reference replaced, and the variables that were not set and have no default.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Substituted {
    /// What to read as YAML. It has the lines of the original, unless a value brings line ends of
    /// its own.
    pub text: String,
    /// Where a variable became nothing.
    pub unset: Vec<Reference>,
}

/// A reference in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Name of the variable.
    pub name: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Replaces every reference by `variable`'s answer or its default. An empty value counts as not set
/// when there is a default, as the colon of `:-` says in a shell.
///
/// # Errors
/// A sentence with line and column when a `${` is not one of the two forms.
pub(crate) fn substitute(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Substituted, String> {
    let mut done = Substituted {
        text: String::with_capacity(text.len()),
        unset: Vec::new(),
    };
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('#') {
            done.text.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let column = line
                .get(..line.len() - from.len())
                .unwrap_or("")
                .chars()
                .count()
                + 1;
            if let Some(escaped) = before.strip_suffix('$') {
                done.text.push_str(escaped);
                done.text.push_str("${");
                rest = from.get(2..).unwrap_or("");
                continue;
            }
            done.text.push_str(before);
            let place = |what: &str| format!("line {}, column {column}: {what}", index + 1);
            let end = from
                .find('}')
                .ok_or_else(|| place("`${` without a `}` on the same line"))?;
            let inner = from.get(2..end).unwrap_or("");
            let (name, default) = inner
                .split_once(":-")
                .map_or((inner, None), |(name, default)| (name, Some(default)));
            if !is_variable(name) {
                return Err(place(&format!(
                    "`${{{inner}}}` is neither ${{NAME}} nor ${{NAME:-default}}; \
                     write $${{ for the text itself"
                )));
            }
            match (variable(name), default) {
                (Some(value), None) => done.text.push_str(&value),
                (Some(value), Some(_)) if !value.is_empty() => done.text.push_str(&value),
                (_, Some(default)) => done.text.push_str(default),
                (None, None) => done.unset.push(Reference {
                    name: name.to_owned(),
                    line: index + 1,
                    column,
                }),
            }
            rest = from.get(end + 1..).unwrap_or("");
        }
        done.text.push_str(rest);
    }
    Ok(done)
}

/// A name that a shell could set.
fn is_variable(name: &str) -> bool {
    name.bytes().enumerate().all(|(index, byte)| {
        byte == b'_' || byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit())
    }) && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> String {
        substitute(input, variable).unwrap().text
    }

    fn variable(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn replaces_what_is_set_and_takes_the_default_otherwise() {
        for (input, output) in [
            ("a: ${A}", "a: one"),
            ("a: ${A:-x}${B:-y}", "a: oney"),
            ("a: ${EMPTY:-x}", "a: x"),
            ("a: \"${EMPTY}\"", "a: \"\""),
            ("a: ${B:-}", "a: "),
            ("a: ${B:-http://x:80/-:-}", "a: http://x:80/-:-"),
            ("a: $A $5 $$ {A}", "a: $A $5 $$ {A}"),
            ("a: $${A} ${A}", "a: ${A} one"),
            ("", ""),
            ("é${A}é\r\n${A}", "éoneé\r\none"),
        ] {
            assert_eq!(text(input), output, "{input}");
        }
    }

    #[test]
    fn comments_are_left_alone() {
        assert_eq!(text("  # see ${x y\na: ${A}"), "  # see ${x y\na: one");
    }

    #[test]
    fn says_which_variable_is_not_set_and_where() {
        let done = substitute("x: 1\né: ${NOPE}", variable).unwrap();
        assert_eq!(done.text, "x: 1\né: ");
        assert_eq!(
            done.unset,
            [Reference {
                name: "NOPE".to_owned(),
                line: 2,
                column: 4
            }]
        );
    }

    #[test]
    fn refuses_other_forms_with_their_place() {
        for input in [
            "a: ${A",
            "a: ${}",
            "a: ${1A}",
            "a: ${A:=x}",
            "a: ${A?}",
            "a: ${a b}",
        ] {
            let error = substitute(input, variable).unwrap_err();
            assert!(error.starts_with("line 1, column 4: "), "{input}: {error}");
        }
    }
}
