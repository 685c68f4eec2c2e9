//! The promises of `src/lib.rs` that can be read off the sources: who imports whom, and what may occur
//! where.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a file may have at most.
const MAX_LINES: usize = 600;

/// Statics that change after they were first read, by file and name, each with the reason why it has to.
const MUTABLE_STATICS: [(&str, &str, &str); 0] = [];

/// The table of `src/lib.rs`: for each module, what it may import.
type Table = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_file_keeps_the_promises() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lib = fs::read_to_string(root.join("src/lib.rs")).expect("src/lib.rs can be read");
    let table = import_table(&lib).expect("src/lib.rs has an import table");
    let mut files = Vec::new();
    collect_sources(&root.join("src"), &mut files);
    assert!(files.len() > 10, "found only {files:?}");

    let mut violations = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).expect("a source file can be read");
        let path = file
            .strip_prefix(root)
            .expect("collected below the root")
            .to_string_lossy()
            .replace('\\', "/");
        violations.extend(check(&path, &source, &table));
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a source folder can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect_sources(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
}

/// Reads the rows below `| module | may import |` in the crate's documentation.
fn import_table(lib: &str) -> Option<Table> {
    let mut lines = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .skip_while(|line| !line.starts_with("| module |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .peekable();
    lines.peek()?;
    lines
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let modules = cells.next()?.to_owned();
            let allowed = cells.next().unwrap_or_default();
            let allowed = allowed
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            Some((modules, allowed.map(str::to_owned).collect()))
        })
        .collect()
}

/// Every promise that a file breaks, as `path:line: what: rule`.
fn check(path: &str, source: &str, table: &Table) -> Vec<String> {
    let tokens = tokens(source);
    let modules = modules_of(path);
    let mut found = Vec::new();
    check_imports(path, &modules, &tokens, table, &mut found);
    check_words(path, &modules, &tokens, &mut found);
    check_statics(path, &tokens, &mut found);
    if !source.starts_with("//!") {
        found.push(format!(
            "{path}:1: a module begins with `//!`: what it is for, what it never does"
        ));
    }
    let lines = source.lines().count();
    if lines > MAX_LINES {
        found.push(format!(
            "{path}:{lines}: {lines} lines; a file has at most {MAX_LINES}: ask what it really is"
        ));
    }
    found
}

/// The module path of a file: `src/mesh/checks/mod.rs` is `mesh`, `checks`.
fn modules_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut modules: Vec<String> = path.split('/').map(str::to_owned).collect();
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    modules
}

fn check_imports(
    path: &str,
    modules: &[String],
    tokens: &[Token],
    table: &Table,
    found: &mut Vec<String>,
) {
    let module = modules[0].as_str();
    if module == "lib" {
        return;
    }
    let Some(allowed) = table.get(module) else {
        found.push(format!(
            "{path}:1: `{module}` has no row in the import table of src/lib.rs"
        ));
        return;
    };
    for (line, target) in imports(modules, tokens) {
        if target != module && !allowed.contains(&target) {
            let may = if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            found.push(format!(
                "{path}:{line}: `crate::{target}`: `{module}` may import {may} (table in src/lib.rs)"
            ));
        }
    }
}

/// The top-level modules that paths beginning with `crate`, `super` or `orfeas` lead to, with their lines.
fn imports(modules: &[String], tokens: &[Token]) -> Vec<(usize, String)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        // Only the beginning of a path: not a segment of one, nor the `crate` of `pub(crate)`.
        if at > 0 && word(at - 1) == "::" && word(at) != "orfeas" || word(at + 1) != "::" {
            continue;
        }
        let mut next = at + 2;
        match word(at) {
            "crate" | "orfeas" => {}
            "super" => {
                let mut above = 1;
                while word(next) == "super" && word(next + 1) == "::" {
                    above += 1;
                    next += 2;
                }
                // In the crate's root `super` would lead out; elsewhere only its root matters here.
                if above < modules.len() {
                    continue;
                }
            }
            _ => continue,
        }
        if word(next) == "{" {
            found.extend(first_segments(tokens, next));
        } else {
            found.push((tokens[at].line, word(next).to_owned()));
        }
    }
    found
}

/// The first segment of every path in a group `{a::b, c::{d, e}}`.
fn first_segments(tokens: &[Token], open: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut at_start = false;
    for token in &tokens[open..] {
        match token.text.as_str() {
            "{" => {
                depth += 1;
                at_start = depth == 1;
            }
            "}" => depth -= 1,
            "," => at_start = depth == 1,
            _ if at_start => {
                found.push((token.line, token.text.clone()));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Words with their place: the word, the modules where it may occur, and why.
const PLACES: [(&str, &[&str], &str); 4] = [
    ("egui", &["ui"], "only `ui` knows the window's toolkit"),
    ("cudarc", &["compute"], "only `compute` knows the driver"),
    ("libloading", &["compute"], "only `compute` loads libraries"),
    ("unsafe", &["compute"], "`unsafe` lives in `compute` alone"),
];

/// Modules that are pure, and the parts of `std` that they do without.
const PURE: [&str; 3] = ["photo", "field", "mesh"];
const IMPURE: [&str; 6] = ["fs", "net", "process", "env", "time", "thread"];

fn check_words(path: &str, modules: &[String], tokens: &[Token], found: &mut Vec<String>) {
    let module = modules[0].as_str();
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for (at, token) in tokens.iter().enumerate() {
        let line = token.line;
        for (banned, places, why) in PLACES {
            if token.text == banned && !places.contains(&module) {
                found.push(format!("{path}:{line}: `{banned}` in `{module}`: {why}"));
            }
        }
        if ["todo", "unimplemented"].contains(&token.text.as_str()) && word(at + 1) == "!" {
            found.push(format!(
                "{path}:{line}: `{}!`: nothing is left unwritten",
                token.text
            ));
        }
        if PURE.contains(&module)
            && token.text == "std"
            && word(at + 1) == "::"
            && IMPURE.contains(&word(at + 2))
        {
            found.push(format!(
                "{path}:{line}: `std::{}` in `{module}`: it is pure, without files, clock and threads of its own",
                word(at + 2)
            ));
        }
    }
}

/// Types through which a static can change.
const MUTABLE: [&str; 8] = [
    "Mutex",
    "RwLock",
    "OnceLock",
    "OnceCell",
    "Cell",
    "RefCell",
    "UnsafeCell",
    "Condvar",
];

fn check_statics(path: &str, tokens: &[Token], found: &mut Vec<String>) {
    let rule = "there is no global mutable state";
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    for (at, token) in tokens.iter().enumerate() {
        let line = token.line;
        if token.text == "thread_local" && word(at + 1) == "!" {
            found.push(format!("{path}:{line}: `thread_local!`: {rule}"));
        }
        if token.text != "static" {
            continue;
        }
        let name = word(at + 1);
        if name == "mut" {
            found.push(format!(
                "{path}:{line}: `static mut {}`: {rule}",
                word(at + 2)
            ));
            continue;
        }
        let type_of = tokens[at + 1..]
            .iter()
            .take_while(|t| t.text != "=" && t.text != ";");
        let mutable = type_of
            .map(|token| token.text.as_str())
            .find(|word| MUTABLE.contains(word) || word.starts_with("Atomic"));
        let excepted = MUTABLE_STATICS
            .iter()
            .any(|(file, excepted, _)| *file == path && *excepted == name);
        if let Some(mutable) = mutable
            && !excepted
        {
            found.push(format!(
                "{path}:{line}: `static {name}` holds a `{mutable}`: {rule}"
            ));
        }
    }
}

/// A word or a mark of the code, comments and the contents of literals left out.
#[derive(Debug, PartialEq)]
struct Token {
    line: usize,
    text: String,
}

fn tokens(source: &str) -> Vec<Token> {
    let characters: Vec<char> = source.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < characters.len() {
        let start = i;
        if at(i).is_whitespace() {
            i += 1;
        } else if at(i) == '/' && at(i + 1) == '/' {
            while i < characters.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            i = after_block_comment(&characters, i);
        } else if let Some(end) = after_string(&characters, i) {
            i = end;
        } else if at(i) == '\'' {
            // A lifetime is a quote and a word without a closing quote.
            if is_word(at(i + 1)) && at(i + 2) != '\'' {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
            } else {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < characters.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
        } else {
            if is_word(at(i)) {
                while is_word(at(i)) {
                    i += 1;
                }
            } else {
                i += if at(i) == ':' && at(i + 1) == ':' {
                    2
                } else {
                    1
                };
            }
            let text = characters[start..i].iter().collect();
            tokens.push(Token { line, text });
        }
        i = i.min(characters.len());
        line += characters[start..i].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn after_block_comment(characters: &[char], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i < characters.len() {
        match (characters[i], characters.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// Where a string literal that begins here ends: `"…"`, `b"…"`, `c"…"`, `r#"…"#`.
fn after_string(characters: &[char], start: usize) -> Option<usize> {
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut i = start;
    if matches!(at(i), 'b' | 'c') && matches!(at(i + 1), '"' | 'r') {
        i += 1;
    }
    let raw = at(i) == 'r' && matches!(at(i + 1), '"' | '#');
    let mut hashes = 0;
    if raw {
        i += 1;
        while at(i) == '#' {
            hashes += 1;
            i += 1;
        }
    }
    if at(i) != '"' {
        return None;
    }
    i += 1;
    while i < characters.len() {
        if !raw && at(i) == '\\' {
            i += 1;
        } else if at(i) == '"' && (1..=hashes).all(|k| at(i + k) == '#') {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(characters.len())
}

// What the checker finds, on small sources.

fn small_table() -> Table {
    let lib = "//! | module | may import |\n//! |---|---|\n//! | mesh | field |\n//! | field | |\n\
               //! | compute | |\n//! | main | cli, mesh |\n\npub mod mesh;";
    import_table(lib).expect("there is a table")
}

/// Checks a source that begins with the documentation it needs, so that its code starts in line 2.
fn found(path: &str, code: &str) -> Vec<String> {
    check(
        path,
        &format!("//! What it is for.\n{code}"),
        &small_table(),
    )
}

#[test]
fn the_import_table_is_read() {
    let table = small_table();
    assert_eq!(table["mesh"], BTreeSet::from(["field".to_owned()]));
    assert!(table["field"].is_empty());
    assert_eq!(table["main"].len(), 2);
    assert!(import_table("//! No table.\n").is_none());
}

#[test]
fn a_forbidden_import_names_file_line_path_and_rule() {
    assert_eq!(
        found("src/mesh/weld.rs", "\nuse crate::formats::glb;"),
        ["src/mesh/weld.rs:3: `crate::formats`: `mesh` may import field (table in src/lib.rs)"]
    );
    assert_eq!(
        found("src/mesh/weld.rs", "use crate::field::Field;"),
        [""; 0]
    );
}

#[test]
fn forbidden_imports_are_found_however_they_are_written() {
    for code in [
        "use crate::{field::Field, formats};",
        "use crate::{\n  field::{self, Field},\n  formats::{glb, stl},\n};",
        "use super::super::formats::glb;",
        "use super::super::{field, formats};",
        "pub(crate) use crate::formats::Format;",
        "fn f() { crate::formats::save() }",
        "fn f(x: &'static crate::formats::X) -> char { '\"' }",
        "use ::orfeas::formats;",
        "const A: &str = \"\\\"\"; use crate::formats;",
    ] {
        assert_eq!(found("src/mesh/weld.rs", code).len(), 1, "{code}");
    }
    assert_eq!(
        found("src/main.rs", "fn main() { orfeas::engine::run() }").len(),
        1
    );
    assert_eq!(
        found("src/main.rs", "fn main() { orfeas::cli::run() }"),
        [""; 0]
    );
    assert_eq!(found("src/field/mod.rs", "use super::mesh::Mesh;").len(), 1);
    assert_eq!(found("src/unheard_of.rs", "").len(), 1);
}

#[test]
fn what_is_no_import_is_not_taken_for_one() {
    for code in [
        "// use crate::formats;",
        "/* crate::formats /* nested */ crate::formats */",
        "const A: &str = \"crate::formats\";",
        "const A: &str = r#\"crate::formats \" \"#;",
        "pub(crate) fn f() {}",
        "pub(in crate::mesh) fn f() {}",
        "use super::formats_of_our_own;",
        "use other::formats;",
        "use crate::{field::{formats, crate_of_eggs}, mesh};",
    ] {
        assert_eq!(found("src/mesh/checks/closed.rs", code), [""; 0], "{code}");
    }
}

#[test]
fn words_out_of_place_are_found() {
    for (path, code) in [
        ("src/mesh/a.rs", "use egui::Context;"),
        ("src/mesh/a.rs", "use cudarc::driver;"),
        ("src/mesh/a.rs", "use libloading::Library;"),
        ("src/mesh/a.rs", "fn f() { unsafe { g() } }"),
        ("src/compute/a.rs", "fn f() { todo!() }"),
        ("src/compute/a.rs", "fn f() { unimplemented!(\"later\") }"),
        ("src/mesh/a.rs", "use std::fs::File;"),
        ("src/field/a.rs", "fn f() { std::time::Instant::now(); }"),
    ] {
        assert_eq!(found(path, code).len(), 1, "{code}");
    }
    for (path, code) in [
        ("src/compute/a.rs", "fn f() { unsafe { cudarc::g() } }"),
        ("src/mesh/a.rs", "#[expect(unsafe_code)] fn f() {}"),
        ("src/mesh/a.rs", "use std::sync::Arc;"),
        ("src/compute/a.rs", "use std::time::Instant;"),
    ] {
        assert_eq!(found(path, code), [""; 0], "{code}");
    }
}

#[test]
fn global_mutable_state_is_found() {
    for code in [
        "static mut COUNT: u32 = 0;",
        "static COUNT: AtomicU32 = AtomicU32::new(0);",
        "pub static CACHE: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);",
        "static SETTINGS: std::sync::OnceLock<String> = std::sync::OnceLock::new();",
        "thread_local! { }",
    ] {
        assert_eq!(found("src/compute/a.rs", code).len(), 1, "{code}");
    }
    for code in [
        "static TABLE: [u8; 3] = [1, 2, 3];",
        "static TABLE: LazyLock<Vec<f32>> = LazyLock::new(table);",
        "fn f(x: &'static Mutex<u8>) {}",
        "struct S { shared: Mutex<u8> }",
    ] {
        assert_eq!(found("src/compute/a.rs", code), [""; 0], "{code}");
    }
}

#[test]
fn files_without_a_purpose_or_an_end_are_found() {
    assert_eq!(
        check("src/mesh/a.rs", "fn f() {}\n", &small_table()).len(),
        1
    );
    assert_eq!(found("src/mesh/a.rs", &"\n".repeat(MAX_LINES)).len(), 1);
    assert_eq!(found("src/mesh/a.rs", &"\n".repeat(MAX_LINES - 1)), [""; 0]);
}
