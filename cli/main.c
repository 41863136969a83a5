/* pocketcdn: the one command a person types. */
#include "cli/command.h"
#include "common/process.h"

#include "common/banned.h"

int main(int argc, char **argv)
{
    cdn_process_init();
    return cli_command_run(argc - 1, argv + 1);
}
