//! PDFs that are made for tests.

use flate2::{Compress, Compression, FlushCompress};
use pdf_extract::{
    Document, EncryptionState, EncryptionVersion, Object, Permissions, StringFormat,
};

/// A PDF of these objects, of which the first is the catalogue.
pub fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.5\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(bytes.len());
        bytes.extend(format!("{} 0 obj\n", number + 1).bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    let start = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        bytes.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    bytes.extend(
        format!("trailer\n<</Size {size} /Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").bytes(),
    );
    bytes
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<<{dictionary} /Length {}>>\nstream\n", data.len());
    [head.as_bytes(), data, b"\nendstream"].concat()
}

/// A PDF of one page with this content, which `dictionary` describes.
pub fn page(dictionary: &str, content: &[u8]) -> Vec<u8> {
    pdf(&[
        b"<</Type /Catalog /Pages 2 0 R>>".to_vec(),
        b"<</Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 600 800]>>".to_vec(),
        b"<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <</Font <</F 5 0 R>>>>>>".to_vec(),
        stream(dictionary, content),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_vec(),
    ])
}

/// A PDF of one page that says this.
pub fn text(text: &str) -> Vec<u8> {
    page(
        "",
        format!("BT /F 12 Tf 50 700 Td ({text}) Tj ET").as_bytes(),
    )
}

/// A PDF with a page for each of these texts.
pub fn pages(texts: &[&str]) -> Vec<u8> {
    pdf(&objects_of(texts))
}

/// A PDF of one page that says this, and has this many bytes that no page shows.
pub fn padded(text: &str, bytes: usize) -> Vec<u8> {
    let mut objects = objects_of(&[text]);
    objects.push(stream("", &vec![b'x'; bytes]));
    pdf(&objects)
}

fn objects_of(texts: &[&str]) -> Vec<Vec<u8>> {
    let number = |page: usize| 4 + 2 * page;
    let kids: Vec<_> = (0..texts.len())
        .map(|page| format!("{} 0 R", number(page)))
        .collect();
    let (kids, count) = (kids.join(" "), texts.len());
    let mut objects = vec![
        b"<</Type /Catalog /Pages 2 0 R>>".to_vec(),
        format!("<</Type /Pages /Kids [{kids}] /Count {count} /MediaBox [0 0 600 800]>>").into(),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_vec(),
    ];
    for (page, text) in texts.iter().enumerate() {
        let contents = number(page) + 1;
        objects.push(
            format!(
                "<</Type /Page /Parent 2 0 R /Contents {contents} 0 R \
                 /Resources <</Font <</F 3 0 R>>>>>>"
            )
            .into(),
        );
        let content = format!("BT /F 12 Tf 50 700 Td ({text}) Tj ET");
        objects.push(stream("", content.as_bytes()));
    }
    objects
}

/// A PDF, encrypted for who has this password.
pub fn encrypted(bytes: &[u8], user_password: &str) -> Vec<u8> {
    let mut document = Document::load_mem(bytes).unwrap();
    let id = Object::String(b"0123456789abcdef".to_vec(), StringFormat::Literal);
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = EncryptionVersion::V1 {
        document: &document,
        owner_password: "owner",
        user_password,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

pub fn page_tree_loop() -> Vec<u8> {
    pdf(&[
        b"<</Type /Catalog /Pages 2 0 R>>".to_vec(),
        b"<</Type /Pages /Kids [2 0 R 2 0 R 2 0 R] /Count 3 /Parent 2 0 R>>".to_vec(),
    ])
}

pub fn reference_loop() -> Vec<u8> {
    pdf(&[
        b"<</Type /Catalog /Pages 2 0 R>>".to_vec(),
        b"<</Type /Pages /Kids 3 0 R /Count 4 0 R>>".to_vec(),
        b"4 0 R".to_vec(),
        b"3 0 R".to_vec(),
    ])
}

pub fn nested_arrays() -> Vec<u8> {
    let depth = 1_000_000;
    let nested = [b"[".repeat(depth), b"]".repeat(depth)].concat();
    pdf(&[b"<</Type /Catalog /Pages 2 0 R>>".to_vec(), nested])
}

/// A form that draws itself.
pub fn form_loop() -> Vec<u8> {
    pdf(&[
        b"<</Type /Catalog /Pages 2 0 R>>".to_vec(),
        b"<</Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 600 800]>>".to_vec(),
        b"<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <</XObject <</X 5 0 R>>>>>>"
            .to_vec(),
        stream("", b"/X Do"),
        stream(
            "/Type /XObject /Subtype /Form /Resources <</XObject <</X 5 0 R>>>>",
            b"/X Do /X Do",
        ),
    ])
}

/// This many mebibytes of content, compressed. The end is missing.
pub fn deflated(mebibytes: usize) -> Vec<u8> {
    let line = "BT /F 12 Tf (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET\n";
    let content = line.repeat((1 << 20) / line.len());
    let mut segment = Vec::with_capacity(content.len());
    let mut compress = Compress::new(Compression::best(), false);
    // After a full flush, a segment does not depend on what is before it.
    let flush = FlushCompress::Full;
    compress
        .compress_vec(content.as_bytes(), &mut segment, flush)
        .unwrap();
    [&b"\x78\x9c"[..], &segment.repeat(mebibytes)].concat()
}
