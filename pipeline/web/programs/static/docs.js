"use strict";

function made(name, text, ...children) {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function table(heads, rows) {
  const body = rows.map((row) => made("tr", "", ...row.map((cell) => made("td", cell))));
  return made("table", "", made("tr", "", ...heads.map((head) => made("th", head))), ...body);
}

function kind(schema) {
  const limits = ["minimum", "exclusiveMinimum", "exclusiveMaximum", "default"]
    .filter((key) => key in schema)
    .map((key) => `${key} ${schema[key]}`);
  return [schema.enum ? schema.enum.join(", ") : schema.type, ...limits].join("; ");
}

function example(method, path, parameters) {
  const run = parameters.find((each) => each.name === "run");
  const query = run && run.schema.enum.length > 1 ? `?run=${run.schema.enum[0]}` : "";
  const target = `'${location.origin}${path}${query}'`;
  const curl = "curl -H 'Authorization: Bearer TOKEN'";
  if (method === "GET") return `${curl} ${target}`;
  return `${curl} --data-binary @NEW.mp4 ${target}\n${curl} -F video=@NEW.mp4 ${target}`;
}

function shape(schema, schemas) {
  if (schema.$ref) return shape(schemas[schema.$ref.split("/").pop()], schemas);
  if (schema.type === "array") return [shape(schema.items, schemas)];
  if (!schema.properties) return [schema.type].flat().join(" or ");
  return Object.fromEntries(
    Object.entries(schema.properties).map(([name, each]) => [name, shape(each, schemas)]),
  );
}

function operation(path, method, about, schemas) {
  const title = made("h2", "", made("span", method), made("code", path));
  const section = made("section", "", title, made("p", about.summary));
  section.append(made("pre", example(method, path, about.parameters)));
  if (about.parameters.length) {
    const rows = about.parameters.map((each) => [each.name, kind(each.schema), each.description || ""]);
    section.append(table(["setting", "is", "meaning"], rows));
  }
  const answer = about.responses["200"].content["application/json"];
  const details = made("details", "", made("summary", "Answers"));
  if (answer) details.append(made("pre", JSON.stringify(shape(answer.schema, schemas), null, 2)));
  const rows = Object.entries(about.responses).map(([code, each]) => [code, each.description]);
  details.append(table(["status", "meaning"], rows));
  section.append(details);
  return section;
}

async function show() {
  const answer = await fetch("/openapi.json");
  const api = await answer.json();
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const place = document.getElementById("operations");
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, about] of Object.entries(methods)) {
      place.append(operation(path, method.toUpperCase(), about, api.components.schemas));
    }
  }
}

show();
