// baton import FILE [--time-scale S] [--output FILE | --submit [--wait]]

#include <memory>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "cli/cluster/cluster_state.h"
#include "cli/command.h"
#include "cli/import/wf_format.h"

namespace baton {
namespace {

struct ImportOptions {
  std::string file;
  double time_scale = 1.0;
  std::string output;
  bool submit = false;
  bool wait = false;
};

void SubmitImported(CommandContext& context, const std::string& job, bool wait) {
  auto client = context.Connect();
  if (!client.ok()) return context.Fail(client.status());
  auto submitted = (*client)->Submit(job);
  if (!submitted.ok()) return context.Fail(submitted.status());
  if (wait) return WaitForJob(context, **client, submitted->value.id);
  Print(context.json() ? submitted->json : submitted->value.id);
}

void RunImport(CommandContext& context, const ImportOptions& options) {
  auto text = ReadFile(options.file);
  if (!text.ok()) return context.Fail(text.status());
  auto workflow = ParseWorkflow(*text);
  if (!workflow.ok()) {
    context.Fail(At(options.file, workflow.status()));
    context.exit_code = kExitFailed;  // no server refused it
    return;
  }
  const std::string job = ToJobJson(*workflow, options.time_scale);
  if (options.submit) return SubmitImported(context, job, options.wait);
  if (options.output.empty()) return Print(job);
  context.Finish(WriteFile(options.output, job + "\n"));
}

}  // namespace

void AddImportCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command =
      app.add_subcommand("import", "Turn a recorded workflow (WfFormat 1.5) into a job");
  command->add_option("FILE", options->file, "The workflow")->required();
  command
      ->add_option("--time-scale", options->time_scale,
                   "Each task takes this times its recorded runtime")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  auto* output =
      command->add_option("--output", options->output, "Write the job there (default: stdout)");
  auto* submit = command->add_flag("--submit", options->submit, "Submit it and print its id");
  submit->excludes(output);
  command->add_flag("--wait", options->wait, "With --submit: wait for the end")->needs(submit);
  command->callback([&context, options] { RunImport(context, *options); });
}

}  // namespace baton
