//! The tokens of a source file, without comments and strings.

#[derive(Debug)]
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Within an item under `#[cfg(test)]`.
    pub in_test: bool,
}

/// Cuts a file into words, numbers, `::`, `=>` and single marks, without comments and strings.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut index = 0;
    let (mut line, mut counted) = (1, 0);
    while index < chars.len() {
        let start = index;
        line += chars[counted..start].iter().filter(|c| **c == '\n').count();
        counted = start;
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
                continue;
            }
            '/' if at(index + 1) == '*' => {
                index = after_block_comment(&chars, index);
                continue;
            }
            '"' => index = after_string(&chars, index),
            '\'' if at(index + 1) == '\\' || at(index + 2) == '\'' => {
                index += if at(index + 1) == '\\' { 3 } else { 2 };
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' => {
                index += 1;
                while is_word(at(index)) {
                    index += 1;
                }
            }
            c if is_word(c) => {
                while is_word(at(index)) {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let hashes = (index..).take_while(|hash| at(*hash) == '#').count();
                if ["r", "br", "cr"].contains(&word.as_str()) && at(index + hashes) == '"' {
                    index = after_raw_string(&chars, index + hashes + 1, hashes);
                } else {
                    tokens.push(Token { text: word, line, in_test: false });
                }
                continue;
            }
            c if c.is_whitespace() => {
                index += 1;
                continue;
            }
            first => {
                let pair = [('=', '>'), (':', ':')].contains(&(first, at(index + 1)));
                index += if pair { 2 } else { 1 };
                let text = chars[start..index].iter().collect();
                tokens.push(Token { text, line, in_test: false });
                continue;
            }
        }
        // A string, a character or a lifetime: only its presence matters.
        tokens.push(Token { text: "\"".into(), line, in_test: false });
    }
    mark_tests(&mut tokens);
    tokens
}

fn after_block_comment(chars: &[char], mut index: usize) -> usize {
    let mut depth = 0;
    while index < chars.len() {
        match chars[index..] {
            ['/', '*', ..] => (depth, index) = (depth + 1, index + 2),
            ['*', '/', ..] => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            break;
        }
    }
    index
}

fn after_string(chars: &[char], mut index: usize) -> usize {
    index += 1;
    while index < chars.len() && chars[index] != '"' {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

fn after_raw_string(chars: &[char], mut index: usize, hashes: usize) -> usize {
    let end: Vec<char> = format!("\"{}", "#".repeat(hashes)).chars().collect();
    while index < chars.len() && !chars[index..].starts_with(&end) {
        index += 1;
    }
    index + end.len()
}

fn mark_tests(tokens: &mut [Token]) {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut index = 0;
    while index + ATTRIBUTE.len() <= tokens.len() {
        let here = &tokens[index..index + ATTRIBUTE.len()];
        if !here.iter().map(|token| token.text.as_str()).eq(ATTRIBUTE) {
            index += 1;
            continue;
        }
        let mut depth = 0;
        index += ATTRIBUTE.len();
        while index < tokens.len() {
            tokens[index].in_test = true;
            match tokens[index].text.as_str() {
                "{" | "[" | "(" => depth += 1,
                "]" | ")" => depth -= 1,
                "}" => depth -= 1,
                _ => {}
            }
            let ends = ["}", ";"].contains(&tokens[index].text.as_str());
            index += 1;
            if depth == 0 && ends {
                break;
            }
        }
    }
}

pub fn text_before(tokens: &[Token], index: usize) -> &str {
    if index == 0 { "" } else { &tokens[index - 1].text }
}

pub fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}
