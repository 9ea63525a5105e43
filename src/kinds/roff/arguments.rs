//! The arguments of a macro.

/// Splits the rest of a control line: at spaces, unless they are quoted or escaped. Escapes
/// are left for later.
pub fn arguments(rest: &str) -> Vec<String> {
    let mut given = Vec::new();
    let mut characters = rest.chars().peekable();
    loop {
        while characters.next_if(|it| matches!(it, ' ' | '\t')).is_some() {}
        let Some(first) = characters.peek() else {
            return given;
        };
        let is_quoted = *first == '"';
        if is_quoted {
            characters.next();
        }
        let mut word = String::new();
        while let Some(next) = characters.next() {
            match next {
                '"' if is_quoted => {
                    if characters.next_if_eq(&'"').is_none() {
                        break;
                    }
                    word.push('"');
                }
                ' ' | '\t' if !is_quoted => break,
                '\\' => match characters.next() {
                    // The rest is a comment.
                    Some('"' | '#') => {
                        if is_quoted || !word.is_empty() {
                            given.push(word);
                        }
                        return given;
                    }
                    Some(escaped) => word.extend(['\\', escaped]),
                    None => {}
                },
                other => word.push(other),
            }
        }
        given.push(word);
    }
}

/// A line of a macro with its arguments: `\$1`, `\$*` and `\$@`. As in a definition, the
/// backslash may be escaped.
pub fn filled(line: &str, given: &[String]) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let escape = rest.trim_start_matches('\\');
        let slashes = rest.len() - escape.len();
        let mut characters = escape.chars();
        if slashes <= 2 && characters.next() == Some('$') {
            let selector = characters.next();
            match selector {
                Some(digit @ '1'..='9') => {
                    let index = digit as usize - '1' as usize;
                    filled.push_str(given.get(index).map_or("", String::as_str));
                }
                Some('*') => filled.push_str(&given.join(" ")),
                Some('@') => {
                    let quoted: Vec<_> = given.iter().map(|it| format!("\"{it}\"")).collect();
                    filled.push_str(&quoted.join(" "));
                }
                _ => {}
            }
            rest = characters.as_str();
        } else {
            // An escaped escape is one when the macro is called.
            let kept = slashes.div_ceil(2).max(1);
            filled.push_str(&"\\".repeat(kept));
            rest = escape;
            if let Some(first) = rest.chars().next() {
                filled.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    filled + rest
}
