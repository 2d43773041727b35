import { Command, CommanderError } from 'commander';
import { WgrankError } from '../errors.ts';
import { readPackageVersion } from '../server/package-version.ts';
import { declareInspectFlags, readInspectFlags, type InspectFlags } from './inspect.ts';
import { declareServeFlags, readServeFlags, type ServeFlags } from './serve-flags.ts';

/** Where the command line speaks, and what it starts; tests put their own in. */
export interface CommandContext {
  /** Resolves when the server has stopped, with the exit code. */
  launch(flags: ServeFlags): Promise<number>;
  /** Resolves with the exit code. */
  inspect(flags: InspectFlags): Promise<number>;
  writeOut(text: string): void;
  writeErr(text: string): void;
}

/**
 * @param args without the interpreter and the script
 * @returns the exit code: 0, 1 for a failure, 2 for a command line that cannot be run
 */
export async function run(args: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0;
  const program = buildProgram(context, (code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof WgrankError) {
      context.writeErr(`${error.message}\n`);
      return error.code === 'launch-refused' ? 2 : 1;
    }
    context.writeErr(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}

function buildProgram(context: CommandContext, finish: (exitCode: number) => void): Command {
  const program = new Command('wgrank')
    .description('Reranking engine and server on WebGPU.')
    .version(readPackageVersion(), '-v, --version', 'print the version')
    .configureOutput({ writeOut: context.writeOut, writeErr: context.writeErr })
    .exitOverride();
  const serve = program
    .command('serve')
    .description('Serve a reranker over HTTP with SGLang’s /v1/rerank. Flags that only SGLang needs are accepted too.')
    .argument('[model]', 'same as --model-path');
  declareServeFlags(serve);
  serve.action(async (model: string | undefined) => {
    if (model !== undefined) takePositionalModel(serve, model);
    finish(await context.launch(readFlags(serve)));
  });
  const inspect = program
    .command('inspect')
    .description(
      'Say what a model is and needs, and whether it fits (else exit code 1). Loads no weights, needs no GPU.',
    );
  declareInspectFlags(inspect, serve);
  inspect.action(async (model: string) => finish(await context.inspect(readInspectFlags(inspect, model))));
  return program;
}

function takePositionalModel(serve: Command, model: string): void {
  if (serve.getOptionValueSource('modelPath') === 'cli') {
    serve.error(`error: the model is given twice: '${model}' and --model-path '${serve.opts().modelPath}'`);
  }
  serve.setOptionValueWithSource('modelPath', model, 'cli');
}

function readFlags(serve: Command): ServeFlags {
  try {
    return readServeFlags(serve);
  } catch (error) {
    return serve.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  }
}
