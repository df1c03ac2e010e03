%% SPDX-License-Identifier: Apache-2.0
%% pg_join - how long until a pg:join on one Erlang node is seen by a pg:monitor on another of this
%% machine: what proa-register compares proa_join with.
%%
%% Both nodes read os:system_time, the kernel's CLOCK_REALTIME, so one way is measured and no halves of
%% round trips are.  Between any two changes are 1 to 2 ms, as in proa-register.  Prints
%% SAMPLES P50 P99, in ns.
-module(pg_join).
-export([main/1, watch/1]).

-define(SCOPE, proa_pg).
-define(GROUP, workers).

main([Words]) ->
    Count = list_to_integer(Words),
    Here = filename:dirname(code:which(?MODULE)),
    {ok, _, Other} = peer:start_link(#{name => proa_pg_watcher, host => "127.0.0.1", longnames => true,
                                       args => ["-pa", Here, "-start_epmd", "false"]}),
    {ok, _} = pg:start(?SCOPE),
    {ok, _} = erpc:call(Other, pg, start, [?SCOPE]),
    Watcher = spawn_link(Other, ?MODULE, watch, [self()]),
    receive {Watcher, ready} -> ok end,
    [sample(Watcher) || _ <- lists:seq(1, 100)], % not counted: code is loaded, buffers grow
    Samples = lists:sort([sample(Watcher) || _ <- lists:seq(1, Count)]),
    io:format("~b ~b ~b~n", [Count, percentile(Samples, Count, 50), percentile(Samples, Count, 99)]),
    halt(0).

watch(Joiner) ->
    {Ref, _} = pg:monitor(?SCOPE, ?GROUP),
    Joiner ! {self(), ready},
    watch_on(Joiner, Ref).

watch_on(Joiner, Ref) ->
    receive
        {Ref, join, ?GROUP, [Joiner]} ->
            Joiner ! {self(), os:system_time(nanosecond)};
        {Ref, leave, ?GROUP, [Joiner]} ->
            ok
    end,
    watch_on(Joiner, Ref).

sample(Watcher) ->
    gap(),
    Began = os:system_time(nanosecond),
    ok = pg:join(?SCOPE, ?GROUP, self()),
    Took = receive {Watcher, Seen} -> Seen - Began end,
    gap(),
    ok = pg:leave(?SCOPE, ?GROUP, self()),
    Took.

%% receive ... after waits 1 to 2 ms for 1.
gap() ->
    timer:sleep(1).

percentile(Sorted, Count, Percent) ->
    lists:nth(max(1, Count * Percent div 100), Sorted).
