//! Choosing functions of a stack file by name: `--filter` with `*` and `?`, `--regex` with a
//! regular expression.

use regex_lite::Regex;

use crate::exit::Failure;

/// Whether the whole of `name` matches `glob`, where `*` is any run of characters and `?` any one.
pub(crate) fn glob(glob: &str, name: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Greedy with one step back: after a mismatch only the last `*` can take one more character.
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                g += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                g = at + 1;
                n = taken + 1;
            }
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

/// Compiles `--regex`.
///
/// # Errors
/// Usage, with the place in the expression.
pub(crate) fn regex(expression: &str) -> Result<Regex, Failure> {
    Regex::new(expression).map_err(|error| Failure::usage(format!("--regex: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, matches) in [
            ("*", "anything", true),
            ("wc", "wc", true),
            ("wc", "wcs", false),
            ("w*", "wc", true),
            ("*-*-z", "a-b-c-z", true),
            ("a*b*c", "abbbc", true),
            ("a*b*c", "abbb", false),
            ("?c", "wc", true),
            ("??", "w", false),
            ("", "", true),
            ("", "x", false),
            ("wc**", "wc", true),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_wrong_expression_is_a_usage_error() {
        assert_eq!(regex("(").unwrap_err().exit(), Exit::Usage);
        assert!(regex("^a").is_ok_and(|regex| regex.is_match("ab")));
    }
}
