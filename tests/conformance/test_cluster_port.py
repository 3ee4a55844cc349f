"""What the runtime relies on of a cluster, played on the fake and on a real API server.

Nothing here is about how a call is made; all of it is about what holds afterwards.
"""

import pytest

from infertune.core.manifests.naming import (
    FINALIZER,
)
from infertune.core.plan import ApplyFields, DeleteObject, FieldExpectation
from infertune.core.snapshot import Key, LabelRule
from infertune.ports import AlreadyExists, Conflict, FieldTaken, Gone
from tests.conformance.objects import (
    NOT_PULLABLE,
    batch_of,
    batch_write,
    config_map,
    controller_revision,
    job,
    key_of,
    set_batch,
    set_of,
    target,
)
from tests.conformance.stages import Stage
from tests.fakes import cases


class TestTunings:
    def test_a_stored_tuning_is_found_and_listed_with_its_version(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        key = key_of(stored)
        found = stage.cluster.fetch_tuning(key)
        assert found is not None
        assert found["metadata"]["uid"] == stored["metadata"]["uid"]
        assert found["spec"]["slo"]["latencyMilliseconds"] == 200
        assert stage.cluster.list_tunings()[key] == stored["metadata"]["resourceVersion"]

    def test_a_tuning_that_is_not_there_is_none(self, stage: Stage) -> None:
        assert stage.cluster.fetch_tuning(Key(stage.namespace, "nobody")) is None

    def test_status_is_recorded_whole_and_leaves_spec_and_generation(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        version = stored["metadata"]["resourceVersion"]
        after = stage.cluster.record_status(key_of(stored), {"state": "Probing"}, version)
        assert after["status"]["state"] == "Probing"
        assert after["spec"] == stored["spec"]
        assert after["metadata"]["generation"] == stored["metadata"]["generation"]
        version = after["metadata"]["resourceVersion"]
        again = stage.cluster.record_status(key_of(stored), {"observedGeneration": 1}, version)
        assert again["status"].get("observedGeneration") == 1
        assert again["status"].get("state") != "Probing"

    def test_status_on_an_old_version_is_a_conflict(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        old = stored["metadata"]["resourceVersion"]
        stage.cluster.record_status(key_of(stored), {"state": "Probing"}, old)
        with pytest.raises(Conflict):
            stage.cluster.record_status(key_of(stored), {"state": "Searching"}, old)

    def test_status_of_a_vanished_tuning_is_gone(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        stage.remove(stored)
        with pytest.raises(Gone):
            stage.cluster.record_status(
                key_of(stored), {"state": "Probing"}, stored["metadata"]["resourceVersion"]
            )

    def test_the_finalizer_holds_a_deleted_tuning_until_it_is_taken_off(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        key = key_of(stored)
        version = stage.cluster.set_finalizer(
            key, stored["metadata"]["resourceVersion"], present=True
        )
        # The version it returns is good for the status write of the same tick.
        after = stage.cluster.record_status(key, {"state": "Applying"}, version)
        assert after["metadata"]["finalizers"] == [FINALIZER]
        stage.remove(stored)
        going = stage.cluster.fetch_tuning(key)
        assert going is not None
        assert "deletionTimestamp" in going["metadata"]
        stage.cluster.set_finalizer(key, going["metadata"]["resourceVersion"], present=False)
        assert stage.cluster.fetch_tuning(key) is None

    def test_a_finalizer_that_is_as_wanted_writes_nothing(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        version = stored["metadata"]["resourceVersion"]
        assert stage.cluster.set_finalizer(key_of(stored), version, present=False) == version

    def test_a_finalizer_on_an_old_version_is_a_conflict(self, stage: Stage) -> None:
        stored = stage.add(cases.tuning())
        old = stored["metadata"]["resourceVersion"]
        stage.cluster.record_status(key_of(stored), {"state": "Probing"}, old)
        with pytest.raises(Conflict):
            stage.cluster.set_finalizer(key_of(stored), old, present=True)


class TestCreateAndDelete:
    def test_creating_twice_for_the_same_owner_is_success(self, stage: Stage) -> None:
        owner = stage.add(cases.tuning())
        raw = config_map("made", owner)
        raw["metadata"]["namespace"] = stage.namespace
        stage.cluster.create_object(raw)
        stage.cluster.create_object(raw)
        assert stage.cluster.fetch_config_map(stage.namespace, "made") == {"a": "1"}

    def test_a_foreign_object_of_that_name_is_never_taken(self, stage: Stage) -> None:
        owner = stage.add(cases.tuning())
        stage.add(config_map("made", None))
        raw = config_map("made", owner)
        raw["metadata"]["namespace"] = stage.namespace
        with pytest.raises(AlreadyExists):
            stage.cluster.create_object(raw)

    def test_deleting_is_by_uid_and_repeatable(self, stage: Stage) -> None:
        stored = stage.add(config_map("made", None))
        uid = stored["metadata"]["uid"]
        other = DeleteObject("v1", "ConfigMap", stage.namespace, "made", "another-uid")
        stage.cluster.delete_object(other)
        assert stage.read(stored) is not None
        ours = DeleteObject("v1", "ConfigMap", stage.namespace, "made", uid)
        stage.cluster.delete_object(ours)
        stage.cluster.delete_object(ours)
        assert stage.read(stored) is None

    def test_what_a_tuning_owns_goes_with_it(self, stage: Stage) -> None:
        owner = stage.add(cases.tuning())
        owned = stage.add(config_map("made", owner))
        stage.remove(owner)
        stage.until(lambda: stage.read(owned) is None)


class TestApply:
    def test_adoption_changes_the_value_that_another_manager_owns(self, stage: Stage) -> None:
        live = stage.add(target())
        stage.cluster.apply_fields(batch_write(live, "16", "1"))
        after = stage.read(live)
        assert batch_of(after) == "16"
        assert after is not None
        container = after["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == NOT_PULLABLE
        assert {"name": "LOG_LEVEL", "value": "info"} in container["env"]

    def test_without_adoption_the_owner_is_named(self, stage: Stage) -> None:
        live = stage.add(target())
        with pytest.raises(FieldTaken) as caught:
            stage.cluster.apply_fields(batch_write(live, "16", "1", adopt=False))
        assert caught.value.owner == "kubectl-client-side-apply"
        assert "MAX_BATCH_SIZE" in caught.value.field
        assert batch_of(stage.read(live)) == "1"

    def test_a_field_once_adopted_needs_no_force(self, stage: Stage) -> None:
        live = stage.add(target())
        stage.cluster.apply_fields(batch_write(live, "16", "1"))
        stage.cluster.apply_fields(batch_write(live, "1", "16", adopt=False))
        assert batch_of(stage.read(live)) == "1"

    def test_a_third_value_is_somebody_elses_and_stays(self, stage: Stage) -> None:
        live = stage.add(target())
        stage.edit(live, set_batch("7"))
        with pytest.raises(FieldTaken) as caught:
            stage.cluster.apply_fields(batch_write(live, "16", "1"))
        assert caught.value.owner == "kubectl-edit"
        assert caught.value.field == (
            "spec.template.spec.containers[name=server].env[name=MAX_BATCH_SIZE].value"
        )
        assert batch_of(stage.read(live)) == "7"

    def test_what_is_done_already_is_not_written_again(self, stage: Stage) -> None:
        live = stage.add(target())
        stage.cluster.apply_fields(batch_write(live, "16", "1"))
        before = stage.read(live)
        stage.cluster.apply_fields(batch_write(live, "16", "1"))
        after = stage.read(live)
        assert before is not None
        assert after is not None
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert batch_of(after) == "16"

    def test_an_entry_that_was_absent_goes_again_with_the_way_back(self, stage: Stage) -> None:
        live = stage.add(target(batch=None))
        stage.cluster.apply_fields(batch_write(live, "16", None))
        assert batch_of(stage.read(live)) == "16"
        stage.cluster.apply_fields(batch_write(live, None, "16", adopt=False))
        after = stage.read(live)
        assert after is not None
        names = [e["name"] for e in after["spec"]["template"]["spec"]["containers"][0]["env"]]
        assert names == ["LOG_LEVEL"]

    def test_another_object_under_the_name_is_never_written(self, stage: Stage) -> None:
        live = stage.add(target())
        stage.remove(live)
        stage.until(lambda: stage.read(live) is None)
        with pytest.raises(Gone):
            stage.cluster.apply_fields(batch_write(live, "16", "1"))
        again = stage.add(target())
        with pytest.raises(Gone):
            stage.cluster.apply_fields(batch_write(live, "16", "1"))
        assert batch_of(stage.read(again)) == "1"

    def test_autoscaler_bounds_are_written_together(self, stage: Stage) -> None:
        live = stage.add(cases.autoscaler(2, 2))
        metadata = {key: live["metadata"][key] for key in ("namespace", "name", "uid")}
        document = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata,
            "spec": {"minReplicas": 1, "maxReplicas": 5},
        }
        bounds = (
            FieldExpectation(("spec", "minReplicas"), 2, 1),
            FieldExpectation(("spec", "maxReplicas"), 2, 5),
        )
        stage.cluster.apply_fields(ApplyFields(document, bounds, adopt=True))
        (found,) = stage.cluster.list_autoscalers(stage.namespace, "Deployment", "server")
        assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (1, 5)


class TestLook:
    def test_a_target_comes_with_its_own_pods_and_its_revision(self, stage: Stage) -> None:
        live = stage.add(target(replicas=1))

        def seen() -> bool:
            found = stage.cluster.fetch_target(stage.namespace, "Deployment", "server")
            assert found is not None
            return bool(found.revision) and len(found.pods) == 1

        stage.until(seen)
        found = stage.cluster.fetch_target(stage.namespace, "Deployment", "server")
        assert found is not None
        assert found.raw["metadata"]["uid"] == live["metadata"]["uid"]
        assert (found.raw["apiVersion"], found.raw["kind"]) == ("apps/v1", "Deployment")
        assert {pod.revision for pod in found.pods} == {found.revision}

    def test_a_pod_that_only_wears_the_labels_is_not_the_targets(self, stage: Stage) -> None:
        stage.add(target())
        stage.add(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "stranger", "labels": {"app": "server"}},
                "spec": {
                    "containers": [
                        {"name": "x", "image": NOT_PULLABLE, "imagePullPolicy": "Never"}
                    ],
                    "terminationGracePeriodSeconds": 0,
                },
            }
        )
        found = stage.cluster.fetch_target(stage.namespace, "Deployment", "server")
        assert found is not None
        assert found.pods == ()

    def test_what_earlier_revisions_of_a_stateful_set_refer_to_is_known(self, stage: Stage) -> None:
        raw = cases.deployment(replicas=0)
        raw["kind"] = "StatefulSet"
        raw["spec"]["serviceName"] = "server"
        owner = stage.add(raw)
        found = stage.cluster.fetch_target(stage.namespace, "StatefulSet", "server")
        assert found is not None
        assert found.history == frozenset()
        stage.add(controller_revision(owner, "mine", "conf-infertune-0123456789"))
        stranger = {**owner, "metadata": {**owner["metadata"], "uid": "of-another"}}
        stage.add(controller_revision(stranger, "not-mine", "conf-of-another"))
        # The controller notes a new revision in the status, which makes a new version.
        stage.edit(owner, lambda one: one["metadata"].update(labels={"revised": "yes"}))
        found = stage.cluster.fetch_target(stage.namespace, "StatefulSet", "server")
        assert found is not None
        assert found.history == {"conf-infertune-0123456789"}

    def test_what_does_not_exist_is_none(self, stage: Stage) -> None:
        cluster, namespace = stage.cluster, stage.namespace
        assert cluster.fetch_target(namespace, "Deployment", "nobody") is None
        assert cluster.fetch_target(namespace, "StatefulSet", "nobody") is None
        assert cluster.list_autoscalers(namespace, "Deployment", "nobody") == ()
        assert cluster.fetch_config_map(namespace, "nobody") is None
        assert cluster.list_jobs(namespace, "nobody") == ()
        assert cluster.list_quotas(namespace) == ()
        assert cluster.list_budgets(namespace) == ()

    def test_every_autoscaler_of_a_workload_is_listed_and_no_other(self, stage: Stage) -> None:
        for name, scaled in (("zweiter", "server"), ("erster", "server"), ("fremd", "another")):
            raw = cases.autoscaler()
            raw["metadata"] = raw["metadata"] | {"name": name}
            raw["spec"]["scaleTargetRef"] = raw["spec"]["scaleTargetRef"] | {"name": scaled}
            stage.add(raw)
        found = stage.cluster.list_autoscalers(stage.namespace, "Deployment", "server")
        assert [raw["metadata"]["name"] for raw in found] == ["erster", "zweiter"]

    def test_quotas_and_budgets_come_with_their_spec(self, stage: Stage) -> None:
        stage.add(
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "team"},
                "spec": {"hard": {"pods": "3"}},
            }
        )
        budget = {"minAvailable": 1, "selector": {"matchLabels": {"tier": "web"}}}
        stage.add(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "budget"},
                "spec": budget,
            }
        )
        quotas = stage.cluster.list_quotas(stage.namespace)
        budgets = stage.cluster.list_budgets(stage.namespace)
        assert [(q["metadata"]["name"], q["spec"]["hard"]) for q in quotas] == [
            ("team", {"pods": "3"})
        ]
        assert [b["spec"] for b in budgets] == [budget]

    def test_services_and_budgets_are_selectors(self, stage: Stage) -> None:
        stage.add(cases.service())
        stage.add(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": "budget"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"tier": "web"}}},
            }
        )
        assert set_of(stage.cluster.list_selectors(stage.namespace)) == {
            ("Service", "server", ("app", "server")),
            ("PodDisruptionBudget", "budget", ("tier", "web")),
        }

    def test_rules_workloads_and_what_an_autoscaler_counts_are_selectors(
        self, stage: Stage
    ) -> None:
        stage.add(target())
        stage.add(cases.autoscaler())
        rules = [
            {"key": "tier", "operator": "In", "values": ["web"]},
            {"key": "role", "operator": "DoesNotExist"},
        ]
        for name, selector in (("rules", {"matchExpressions": rules}), ("all", {})):
            stage.add(
                {
                    "apiVersion": "policy/v1",
                    "kind": "PodDisruptionBudget",
                    "metadata": {"name": name},
                    "spec": {"minAvailable": 1, "selector": selector},
                }
            )
        headless = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "bare"}}
        stage.add(headless | {"spec": {"ports": [{"port": 80}]}})
        found = {s.kind + "/" + s.name: s for s in stage.cluster.list_selectors(stage.namespace)}
        assert found["Deployment/server"].match_labels == {"app": "server"}
        assert found["HorizontalPodAutoscaler/server"].match_labels == {"app": "server"}
        assert found["PodDisruptionBudget/rules"].rules == (
            LabelRule("tier", "In", ("web",)),
            LabelRule("role", "DoesNotExist"),
        )
        everything = found["PodDisruptionBudget/all"]
        assert (everything.rules, everything.empty_picks_all) == ((), True)
        assert "Service/bare" not in found

    def test_claims_tell_their_access_modes_and_what_is_not_there_is_absent(
        self, stage: Stage
    ) -> None:
        modes = ["ReadWriteOnce"]
        size = {"requests": {"storage": "1Gi"}}
        stage.add(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "model"},
                "spec": {"accessModes": modes, "resources": size},
            }
        )
        found = stage.cluster.fetch_access_modes(stage.namespace, ("model", "nobody"))
        assert found == {"model": ("ReadWriteOnce",)}
        assert stage.cluster.fetch_node_labels(("no-such-node",)) == {}

    def test_only_jobs_with_the_tunings_label_are_its_own(self, stage: Stage) -> None:
        owner = stage.add(cases.tuning())
        stage.add(job("mine", owner, owner["metadata"]["uid"]))
        stage.add(job("foreign", None, "another-uid"))
        (view,) = stage.cluster.list_jobs(stage.namespace, owner["metadata"]["uid"])
        assert (view.name, view.role, view.owner_uid) == ("mine", "gpu", owner["metadata"]["uid"])
        assert (view.finished, view.succeeded, view.result) == (False, False, None)
        mine = [one for one in stage.cluster.list_owned() if one.namespace == stage.namespace]
        assert {(one.kind, one.name, one.tuning_uid, one.role) for one in mine} == {
            ("Job", "mine", owner["metadata"]["uid"], "gpu"),
            ("Job", "foreign", "another-uid", "gpu"),
        }


class TestDeviceWatch:
    def test_the_watch_of_a_pod_that_is_gone_says_nothing(self, stage: Stage) -> None:
        assert stage.cluster.fetch_device_watch(stage.namespace, "none", "no-uid") is None
