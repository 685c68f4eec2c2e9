//! Forms and images that nobody should send.

use crate::pictures;
use crate::server_client::{BOUNDARY, Form};
use crate::server_hostile::{Case, GENERATE, case, post, post_body, request};

pub(crate) fn forms() -> Vec<Case> {
    let image = pictures::disc_png(32);
    let whole = Form::small().encode().1;
    let part = |header: &str, value: &[u8]| {
        let head = format!("--{BOUNDARY}\r\n{header}\r\n\r\n");
        [
            head.as_bytes(),
            value,
            format!("\r\n--{BOUNDARY}--\r\n").as_bytes(),
        ]
        .concat()
    };
    let named = "Content-Disposition: form-data; name=";
    let mut many = Form::default();
    for _ in 0..1000 {
        many = many.text("quality", "7");
    }
    let distinct: Vec<u8> = (0..1000)
        .flat_map(|at| format!("--{BOUNDARY}\r\n{named}\"f{at}\"\r\n\r\n1\r\n").into_bytes())
        .collect();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("no body", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("zeros", vec![0; 10_000]),
        (
            "only the last boundary",
            format!("--{BOUNDARY}--\r\n").into_bytes(),
        ),
        (
            "a boundary without end",
            format!("--{BOUNDARY}").into_bytes(),
        ),
        ("another boundary", whole.replace_all(BOUNDARY, "other")),
        ("no last boundary", whole[..whole.len() - 60].to_vec()),
        ("ends in a header", whole[..70].to_vec()),
        ("bare line feeds", whole.replace_all("\r\n", "\n")),
        ("no disposition", part("Content-Type: image/png", &image)),
        ("no name", part("Content-Disposition: form-data", &image)),
        (
            "an attachment",
            part("Content-Disposition: attachment; filename=\"a\"", &image),
        ),
        (
            "a header without colon",
            part("Content-Disposition", &image),
        ),
        (
            "zeros in a name",
            part(&format!("{named}\"im\0age\""), &image),
        ),
        (
            "a thousand headers",
            part(
                &format!("{}{named}\"image\"", "X: y\r\n".repeat(1000)),
                &image,
            ),
        ),
        (
            "an empty image",
            part(&format!("{named}\"image\"; filename=\"a.png\""), b""),
        ),
        (
            "a form in a form",
            part(
                &format!("{named}\"image\"\r\nContent-Type: multipart/mixed; boundary=x"),
                b"--x\r\n\r\n--x--",
            ),
        ),
        (
            "text that is not UTF-8",
            part(&format!("{named}\"back\""), b"\xff\xfe\xfd"),
        ),
        ("a thousand equal fields", many.encode().1),
        ("a thousand fields", distinct),
        (
            "two images",
            Form::small().file("image", "b.png", &image).encode().1,
        ),
    ];
    let mut cases: Vec<_> = bodies
        .into_iter()
        .map(|(name, body)| case(name, post_body(&body), &[400, 415, 422]))
        .collect();
    for content_type in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=\"unclosed",
        "multipart/form-data; charset=x",
        "\u{1}",
    ] {
        let head = format!("Content-Type: {content_type}\r\nContent-Length: 4\r\n");
        let request = [request("POST", GENERATE, &head), b"{}{}".to_vec()].concat();
        cases.push(case(
            format!("content type {content_type:?}"),
            request,
            &[400, 415],
        ));
    }
    let boundary = "b".repeat(20_000);
    let head =
        format!("Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: 0\r\n");
    cases.push(case(
        "a boundary of 20,000 letters",
        request("POST", GENERATE, &head),
        &[400],
    ));
    // Strange, and still a form.
    let header = format!("X: {}\r\n{named}\"image\"", "a".repeat(100_000));
    let body = part(&header, &image);
    cases.push(case(
        "a header of 100,000 letters",
        post_body(&body),
        &[200, 400],
    ));
    for encoding in ["gzip", "br", "deflate, gzip", "nonsense"] {
        let headers = format!("Content-Encoding: {encoding}\r\n");
        let request = Form::small().request(GENERATE, &headers);
        cases.push(case(
            format!("content encoding {encoding}"),
            request,
            &[415],
        ));
    }
    cases
}

trait ReplaceAll {
    fn replace_all(&self, from: &str, to: &str) -> Vec<u8>;
}

impl ReplaceAll for [u8] {
    fn replace_all(&self, from: &str, to: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = self;
        while let Some(at) = rest
            .windows(from.len())
            .position(|window| window == from.as_bytes())
        {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    }
}

pub(crate) fn images() -> Vec<Case> {
    let png = pictures::disc_png(64);
    let laughs = {
        let mut svg = String::from("<!DOCTYPE svg [<!ENTITY a0 \"ha\">");
        for at in 1..12 {
            let before = format!("&a{};", at - 1).repeat(10);
            svg += &format!("<!ENTITY a{at} \"{before}\">");
        }
        svg + "]><svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><text>&a11;</text></svg>"
    };
    let outside = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='64' \
        height='64'><image xlink:href='file:///etc/passwd' width='64' height='64'/></svg>";
    let mut lying_gif = b"GIF89a\xff\xff\xff\xff\x00\x00\x00".to_vec();
    lying_gif.extend([0x2c; 64]);
    let mut lying_bmp = b"BM".to_vec();
    lying_bmp.extend([0xff; 100]);
    let images: Vec<(&str, Vec<u8>)> = vec![
        ("a bomb", pictures::bomb_png()),
        ("half an image", png[..png.len() / 2].to_vec()),
        ("an image's head", png[..33].to_vec()),
        ("eight bytes", png[..8].to_vec()),
        ("one byte", vec![0x89]),
        ("spaces", vec![b' '; 5000]),
        ("a page", b"<html><body>hello</body></html>".to_vec()),
        ("a program", b"\x7fELF\x02\x01\x01\x00".repeat(100)),
        ("an archive", b"PK\x03\x04".repeat(100)),
        ("a script", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("laughs", laughs.into_bytes()),
        ("a file outside", outside.into()),
        ("a lying GIF", lying_gif),
        ("a lying BMP", lying_bmp),
        ("a TIFF's head", b"II*\x00\xff\xff\xff\xff".to_vec()),
        (
            "a JPEG's head",
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00".to_vec(),
        ),
        ("a WebP's head", b"RIFF\xff\xff\xff\xffWEBPVP8X".to_vec()),
        (
            "a HEIC's head",
            b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00".to_vec(),
        ),
        (
            "nothing to be seen",
            pictures::rgba_png(64, 64, |_, _| [0; 4]),
        ),
        (
            "two by two",
            pictures::rgba_png(2, 2, |_, _| [9, 9, 9, 255]),
        ),
    ];
    let mut cases = Vec::new();
    for (name, image) in images {
        let form = Form::default()
            .file("image", "../../../etc/cron.d/x", &image)
            .text("resolution", "16");
        cases.push(case(name, post(&form), &[400, 415, 507]));
        let form = Form::small().file("matte_image", "m.png", &image);
        // Whatever is readable may be a matte, also one that leaves nothing.
        cases.push(case(format!("as a matte: {name}"), post(&form), &[400]));
    }
    cases
}
