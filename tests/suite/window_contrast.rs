//! The colours of both themes: text can be read wherever it stands (WCAG 2.2, 1.4.3: at least 4.5 : 1).
//!
//! The palettes are private to the window, so that they are read from its source, as the table of imports is.

use std::collections::BTreeMap;

const SOURCE: &str = include_str!("../../src/ui/theme.rs");

/// Text, and what it stands on.
const PAIRS: [(&str, &[&str]); 6] = [
    ("text", &["window", "panel", "control", "hover", "well"]),
    (
        "secondary",
        &[
            "window", "panel", "control", "hover", "well", "top", "bottom",
        ],
    ),
    ("accent_text", &["window", "panel", "well"]),
    ("on_accent", &["accent"]),
    ("closed", &["window", "panel", "top", "bottom"]),
    ("error", &["window", "panel", "well"]),
];

fn palette(name: &str) -> BTreeMap<String, u32> {
    let start = SOURCE.find(&format!("const {name}: Palette")).unwrap();
    let body = &SOURCE[start..];
    let body = &body[..body.find("};").unwrap()];
    let colour = |value: &str| {
        let digits = value.split(')').next().unwrap().replace('_', "");
        u32::from_str_radix(&digits, 16).unwrap()
    };
    let mut colours = BTreeMap::new();
    for line in body.lines() {
        let Some((field, values)) = line.trim().split_once(": ") else {
            continue;
        };
        let values: Vec<u32> = values.split("rgb(0x").skip(1).map(colour).collect();
        match values[..] {
            [one] => drop(colours.insert(field.to_owned(), one)),
            // The viewport's ground runs from one colour to another.
            [top, bottom] => {
                colours.insert("top".to_owned(), top);
                colours.insert("bottom".to_owned(), bottom);
            }
            _ => {}
        }
    }
    colours
}

/// How bright a colour is, by WCAG's definition.
fn luminance(rgb: u32) -> f64 {
    let linear = |shift: u32| {
        let channel = f64::from(rgb >> shift & 0xff) / 255.0;
        if channel <= 0.04045 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * linear(16) + 0.7152 * linear(8) + 0.0722 * linear(0)
}

fn contrast(a: u32, b: u32) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_has_a_contrast_of_at_least_4_5_in_both_themes() {
    assert!((contrast(0x00_0000, 0xff_ffff) - 21.0).abs() < 1e-9);
    for name in ["DARK", "LIGHT"] {
        let palette = palette(name);
        for (text, grounds) in PAIRS {
            for ground in grounds {
                let ratio = contrast(palette[text], palette[*ground]);
                assert!(ratio >= 4.5, "{name}: {text} on {ground} has {ratio:.2}");
            }
        }
    }
}
