//! The elements of an XML document, as they come. Entities that a document defines are not
//! expanded, and no other document is read.

use super::bounds::UnreadableDocument;
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesStart, Event},
};
use std::io::{BufReader, Read};

/// How deep elements may be in each other.
const DEEPEST: usize = 10_000;

/// What a document consists of.
pub enum XmlEvent<'a> {
    /// The begin of an element with this local name.
    Start(&'a str, &'a Attributes<'a>),
    /// The end of an element with this local name.
    End(&'a str),
    /// Text, which may come in pieces.
    Text(&'a str),
}

/// The attributes of an element.
pub struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of the one with this local name.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut all = self.0.attributes().flatten();
        let attribute = all.find(|it| it.key.local_name().as_ref() == name)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        Some(value.into_owned())
    }
}

/// Reads a document, and calls `each` for what it consists of.
///
/// # Errors
/// When it cannot be read, or is not XML, or `each` fails.
pub fn read(
    input: impl Read,
    mut each: impl FnMut(XmlEvent<'_>) -> Result<(), UnreadableDocument>,
) -> Result<(), UnreadableDocument> {
    let mut reader = Reader::from_reader(BufReader::new(input));
    let mut buffer = Vec::new();
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => {
                let cause = error.get_ref().and_then(|it| it.downcast_ref());
                return Err(match cause {
                    Some(unreadable) => UnreadableDocument::clone(unreadable),
                    None => std::io::Error::from(error.kind()).into(),
                });
            }
            Err(_) => return Err(UnreadableDocument::new("its XML is not valid", "")),
        };
        match event {
            Event::Start(start) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(UnreadableDocument::new("its XML is nested too deeply", ""));
                }
                each(XmlEvent::Start(
                    start.local_name().as_ref(),
                    &Attributes(&start),
                ))?;
            }
            Event::Empty(start) => {
                each(XmlEvent::Start(
                    start.local_name().as_ref(),
                    &Attributes(&start),
                ))?;
                each(XmlEvent::End(start.local_name().as_ref()))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                each(XmlEvent::End(end.local_name().as_ref()))?;
            }
            Event::Text(text) => each(XmlEvent::Text(&text.xml10_content()))?,
            Event::CData(text) => each(XmlEvent::Text(&text.xml10_content()))?,
            Event::GeneralRef(reference) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    each(XmlEvent::Text(character.encode_utf8(&mut [0; 4])))?;
                } else if let Some(text) = resolve_xml_entity(&reference) {
                    each(XmlEvent::Text(text))?;
                }
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}
