/**
 * The catalogue of everything that wgrank refuses by name: one code, one meaning. `server/` maps each code to an HTTP status;
 * a test walks both tables.
 */
export const errorCatalogue = {
  'adapter-missing': 'no usable WebGPU adapter was found',
  'device-lost': 'the GPU device was lost while work was pending',
  'gpu-error': 'Dawn reported a validation, out-of-memory or internal error',
  'out-of-memory': 'a buffer or model does not fit the adapter',
  'shader-invalid': 'a WGSL module or pipeline did not compile',
  'shape-mismatch': 'tensor shapes break an operation’s contract',
  'numeric-range': 'a score came out as NaN or infinite',
  'checkpoint-missing': 'a file of the model folder does not exist',
  'checkpoint-invalid': 'a safetensors file or index breaks the format',
  'tensor-missing': 'the checkpoint lacks a tensor that the model needs',
  'tensor-unexpected': 'the checkpoint holds a tensor that the model does not use',
  'tensor-shape': 'a tensor has another shape or dtype than the configuration implies',
  'config-invalid': 'config.json lacks a key, or a key has an unusable value',
  'model-unsupported': 'the architecture is not one that wgrank implements',
  'model-not-found': 'the model path names no folder, embedded model or cached hub model',
  'tokenizer-invalid': 'tokenizer.json is missing, malformed or of an unsupported form',
  'template-invalid': 'a chat template cannot be read, fails, breaks its limits or loses a text',
  'input-too-long': 'a pair exceeds the model’s context and cannot be cut to fit',
  'input-invalid': 'a request value is malformed',
  'media-unsupported': 'this model reads text only',
  'media-refused': 'a picture or video comes from where the operator allows none',
  'media-unavailable': 'a picture or video could not be read from where it is',
  'media-too-large': 'a picture or video exceeds a limit',
  'media-invalid': 'a picture or video is damaged, takes too long to decode, or is of a format that is not read',
  'decoder-missing': 'no video decoder is installed',
  'launch-refused': 'the command line does not fit the model',
  'listen-failed': 'the server could not listen on its address and port',
  overloaded: 'more is waiting than there is room for',
  'deadline-exceeded': 'the request was not done within its time',
  'engine-restarting': 'the engine is being started again',
  cancelled: 'the caller aborted',
  'engine-stopped': 'the engine is closed or its process ended',
} as const;

export type ErrorCode = keyof typeof errorCatalogue;

/** A failure that wgrank names. The message reads `[where] what is wrong: the values (the rule or the next step)`. */
export class WgrankError extends Error {
  override readonly name = 'WgrankError';
  readonly code: ErrorCode;

  /**
   * @param code   entry of the catalogue
   * @param where  the part that speaks, e.g. `matmul` or `safetensors`; empty for texts that are fixed by a wire protocol
   * @param detail what is wrong, with values and the rule or the next step
   */
  constructor(code: ErrorCode, where: string, detail: string, options?: ErrorOptions) {
    super(where === '' ? detail : `[${where}] ${detail}`, options);
    this.code = code;
  }
}
