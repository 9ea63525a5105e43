//! Maps a tool that is passed through.

use super::version;
use crate::{
    claude::{lenient::Object, tools::DefinedTool},
    proto::v1,
    service::{
        generate::{content::ContentMapper, json},
        passthrough::Passed,
    },
    status::Path,
};

/// A tool that is passed through as a whole.
pub fn other(
    mut tool: v1::Tool,
    path: Path<'_>,
    mapper: &mut ContentMapper<'_>,
) -> Option<DefinedTool> {
    let json = std::mem::take(&mut tool.other_json);
    if tool != v1::Tool::default() {
        let problem = "must not have other fields in addition to other_json";
        mapper.wrong.add(path, problem);
    }
    let path = path.field("other_json");
    let json = json::raw_object(json, path, mapper.wrong)?;
    let Some(kind) = json.kind().filter(|kind| kind != "custom") else {
        let problem = "must have a type, which must not be custom";
        mapper.wrong.add(path, problem);
        return None;
    };
    let kind = kind.into_owned();
    if version::is_defined(&kind) {
        mapper
            .wrong
            .add(path, "must use the dedicated field for this type");
        return None;
    }
    let fields = Object::read(json.get()).unwrap_or_default();
    if fields.fields().any(|(name, _)| name == "model") {
        // Nobody has checked that the client may use it.
        mapper.wrong.add(path, "must not name a model");
        return None;
    }
    let allowed = (mapper.passthrough).allows(Passed::Tool, &kind, path, mapper.wrong);
    let name = fields.text("name");
    allowed.then(|| DefinedTool::new(&kind, name.as_deref(), json.clone()))
}
